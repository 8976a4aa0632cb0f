from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.model.labels import read_source, source_label
from bridge.model.source import Source, source_from
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kinds import KINDS, kind_of
from bridge.sources.kv.source import KvPath as RealPath
from bridge.sources.static.source import StaticRoles

SOURCES = (
    RealPath("team", "secret", 'apps/"db" ü'),
    DatabaseRole("", "database", "shop"),
    StaticRoles("team", "database", ("a", "b")),
)


@dataclass(frozen=True, slots=True)
class KvPath(Source):
    """Another kind, whose class has the name of one that there is."""

    namespace: str
    mount: str
    room: str

    @property
    def place(self) -> str:
        return self.room

    @property
    def label(self) -> Mapping[str, object]:
        return {"room": self.room}

    @classmethod
    def from_label(cls, namespace: str, mount: str, label: Mapping[str, Any]) -> KvPath | None:
        return cls(namespace, mount, str(label["room"])) if "room" in label else None


@pytest.mark.parametrize("source", [*SOURCES, KvPath("", "house", "7")])
def test_a_label_is_read_as_the_source_that_wrote_it(source: Source) -> None:
    read = read_source(source_label(source))
    assert (type(read), read, str(read)) == (type(source), source, str(source))


def test_a_label_of_no_kind_that_is_known_is_refused() -> None:
    with pytest.raises(KeyError):
        source_from({"mount": "pki", "certificate": "web"})


def test_each_source_has_its_kind_and_each_kind_a_key_of_its_own() -> None:
    assert [kind_of(source).key for source in SOURCES] == ["kv", "database", "static"]
    assert len({kind.key for kind in KINDS}) == len(KINDS)
    with pytest.raises(KeyError, match="KvPath"):
        kind_of(KvPath("", "house", "7"))
