"""Labels of a Docker secret: what is written is read back, what is damaged is not used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import Identity
from bridge.model.labels import (
    Origin,
    labels_by_service,
    labels_of,
    origin_of,
    read_source,
    source_label,
)
from bridge.model.source import Source
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles
from tests.support.builders import BORN, created, identity

_TEXT = st.text(min_size=1)
_SOURCES = st.one_of(
    st.builds(KvPath, st.text(), _TEXT, _TEXT),
    st.builds(DatabaseRole, st.text(), _TEXT, _TEXT),
    st.builds(StaticRoles, st.text(), _TEXT, st.lists(_TEXT, min_size=1, max_size=2).map(tuple)),
)


@given(_SOURCES)
def test_a_source_of_any_characters_is_read_back(source: Source) -> None:
    assert read_source(source_label(source)) == source


@given(_SOURCES, st.integers(1, 10**10))
def test_the_origin_of_a_docker_secret_is_read_back(source: Source, version: int) -> None:
    made = Identity(source, BORN, version, created(1))
    assert origin_of(labels_of("default", "db", made)) == Origin("default", "db", made)


@pytest.mark.parametrize("name", sorted(labels_of("default", "db", identity(1))))
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
