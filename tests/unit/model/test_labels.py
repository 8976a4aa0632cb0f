"""Labels of a Docker secret: what is written is read back, what is damaged is not used."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import Identity
from bridge.model.labels import (
    LAYOUT,
    Origin,
    labels_by_service,
    labels_of,
    origin_of,
    read_source,
    source_label,
)
from bridge.model.source import _KINDS, Source, source_from
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kinds import KINDS, kind_of
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles
from tests.support.builders import BORN, created, identity

_TEXT = st.text(min_size=1)
_SOURCES = st.one_of(
    st.builds(KvPath, st.text(), _TEXT, _TEXT),
    st.builds(DatabaseRole, st.text(), _TEXT, _TEXT),
    st.builds(StaticRoles, st.text(), _TEXT, st.lists(_TEXT, min_size=1, max_size=2).map(tuple)),
)


def _noun(module: str, key: str) -> type[Source]:
    """Return a noun of a kind in a module, made as ``dataclass(slots=True)`` makes one: twice."""

    def from_label(
        cls: type[Source], namespace: str, mount: str, label: Mapping[str, object]
    ) -> Source | None:
        del namespace, mount
        return cls() if key in label else None

    names = {
        "__module__": module,
        "__slots__": (),
        "place": property(lambda _: key),
        "label": property(lambda _: {key: "x"}),
        "from_label": classmethod(from_label),
    }
    type("Role", (Source,), names)
    return type("Role", (Source,), names)


@given(_SOURCES)
def test_a_source_of_any_characters_is_read_back(source: Source) -> None:
    assert read_source(source_label(source)) == source


@given(_SOURCES)
def test_no_other_kind_takes_a_source_for_its_own(source: Source) -> None:
    """A label does not name its kind, so a key of it is the kind's alone."""
    found = [
        kind.key
        for kind in KINDS
        if kind.noun.from_label(source.namespace, source.mount, source.label) is not None
    ]
    assert found == [kind_of(source).key]


def test_kinds_whose_nouns_have_one_name_are_two_kinds() -> None:
    """They lie in folders of their own, and each may call its role as it likes."""
    before = list(_KINDS)
    try:
        one, two = (_noun(module, key) for module, key in (("one", "ones"), ("two", "twos")))
        for noun, key in ((one, "ones"), (two, "twos")):
            found = source_from({"mount": "m", key: "x"})
            assert type(found) is noun
    finally:
        _KINDS[:] = before


@given(_SOURCES, st.integers(1, 10**10))
def test_the_origin_of_a_docker_secret_is_read_back(source: Source, version: int) -> None:
    made = Identity(source, BORN, version, created(1))
    assert origin_of(labels_of("default", "db", made)) == Origin("default", "db", made)


@pytest.mark.parametrize("name", sorted(labels_of("default", "db", identity(1)).keys() - {LAYOUT}))
def test_a_docker_secret_without_one_of_the_labels_is_nobodys(name: str) -> None:
    labels = labels_of("default", "db", identity(1))
    assert origin_of({key: value for key, value in labels.items() if key != name}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("version", "7a"), ("created", "yesterday"), ("path_created", ""), ("source", "{}")],
)
def test_a_docker_secret_with_a_damaged_label_is_nobodys(name: str, value: str) -> None:
    labels = labels_of("default", "db", identity(1))
    assert origin_of({**labels, f"vault-bridge.{name}": value}) is None


def test_labels_about_single_services_are_found_damaged_or_not() -> None:
    labels = {
        "vault-bridge.roll.one": "{}",
        "vault-bridge.aside.one": "damaged",
        "vault-bridge.blocked.two": "",
        "vault-bridge.aside": "of the whole name",
        "vault-bridge.good": "2026-11-01T00:00:00Z",
    }
    assert labels_by_service(labels) == {
        "one": {"vault-bridge.roll.one", "vault-bridge.aside.one"},
        "two": {"vault-bridge.blocked.two"},
    }
