"""Names of Docker secrets: which a secret may have, and which its versions get."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import Identity
from bridge.model.names import MAX_NAME, is_valid_name, names_of
from bridge.sources.kv.source import KvPath
from tests.support.builders import identity

_DOCKERS = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9])?")
_FIRST = identity(1)


def test_a_name_leaves_room_for_what_its_versions_get() -> None:
    assert is_valid_name("a" * 52)
    assert not is_valid_name("a" * 53)


@given(st.integers(1, MAX_NAME), st.integers(1, 10**10 - 1))
def test_every_version_of_every_name_has_names_that_docker_takes(length: int, version: int) -> None:
    """Docker takes 64 characters; a version of ten digits leaves no room for a suffix."""
    names = names_of("n" * length, replace(_FIRST, version=version))
    assert names[0] == f"{'n' * length}_v{version}"
    assert len(set(names)) == len(names)
    assert all(_DOCKERS.fullmatch(name) for name in names)
    if version < 100_000:
        suffixes = [name.removeprefix(names[0]) for name in names[1:]]
        assert len(suffixes) >= 2
        assert all(re.fullmatch(r"_[a-z2-7]{4}", suffix) for suffix in suffixes)


@pytest.mark.parametrize(
    "other",
    [
        replace(_FIRST, path_created="2026-11-20T00:00:00Z"),
        replace(_FIRST, created="2026-11-20T00:00:00Z"),
        replace(_FIRST, source=KvPath("", "secret", "elsewhere")),
    ],
)
def test_another_content_gets_another_suffix_and_always_the_same(other: Identity) -> None:
    """I12."""
    assert names_of("db", other)[0] == names_of("db", _FIRST)[0]
    assert not set(names_of("db", other)[1:]) & set(names_of("db", _FIRST)[1:])
    assert names_of("db", other) == names_of("db", replace(other))


def test_each_time_that_a_version_is_made_anew_it_has_other_names() -> None:
    """Always with a suffix, also where the plain name is free; none where there is no room."""
    turns = [names_of("db", _FIRST, remade) for remade in range(3)]
    assert len({name for names in turns for name in names}) == sum(map(len, turns))
    plain = turns[0][0]
    assert all(name.startswith(f"{plain}_") for names in turns[1:] for name in names)
    assert names_of("n" * 52, replace(_FIRST, version=10**10 - 1), 1) == ()
