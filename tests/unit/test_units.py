"""What is asked for together, and when that falls apart."""

from __future__ import annotations

from math import inf

import pytest

from bridge.model.source import Source
from bridge.sources.database.source import DatabaseRole
from bridge.sources.folder import Apart, Unit
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles
from bridge.sources.units import AGAIN, FEWEST, MOST, Units, units_of


def paths(folder: str, count: int, mount: str = "secret") -> list[Source]:
    return [KvPath("", mount, f"{folder}s{number:05d}") for number in range(count)]


def places(units: tuple[Unit, ...]) -> list[list[str]]:
    return sorted(sorted(str(source) for source in unit) for unit in units)


def test_a_folder_with_enough_sources_is_one_unit_and_all_else_is_alone() -> None:
    few, enough = paths("few/", FEWEST - 1), paths("enough/", FEWEST)
    others: list[Source] = [DatabaseRole("", "database", name) for name in "abc"]
    others += [StaticRoles("", "database", (name,)) for name in "abc"]
    root, other_mount = paths("", FEWEST), paths("enough/", FEWEST, "other")
    mixed = [*few, *enough, *others, *root, *other_mount]
    units = units_of(mixed)
    assert {len(unit) for unit in units} == {1, FEWEST}
    assert {unit.sources for unit in units if unit.folder} == {
        tuple(enough),
        tuple(root),
        tuple(other_mount),
    }
    assert sorted(map(str, mixed)) == sorted(str(source) for unit in units for source in unit)


def test_folders_below_do_not_count() -> None:
    assert all(unit.folder is None for unit in units_of(paths("a/", 2) + paths("a/b/", 2)))


@pytest.mark.parametrize("count", [MOST, MOST + 1, 3 * MOST, 10_001])
def test_a_long_folder_is_several_units_of_one_size_in_the_order_of_names(count: int) -> None:
    sources = paths("a/", count)
    units = units_of(reversed(sources))
    assert len(units) == -(-count // MOST)
    assert [source for unit in units for source in unit] == sources
    sizes = {len(unit) for unit in units}
    assert max(sizes) - min(sizes) <= 1


def of(units: Units, source: Source, now: float) -> Unit:
    return next(unit for unit in units.at(now) if source in unit.sources)


@pytest.mark.parametrize("why", list(Apart))
def test_a_folder_falls_apart_for_a_while(why: Apart) -> None:
    here, there, elsewhere = paths("a/", 4), paths("b/", 4), paths("a/", 4, "other")
    units = Units([*here, *there, *elsewhere])
    whole = units.at(0)
    assert len(whole) == 3
    assert units.changes == inf
    units.learn(of(units, here[0], 0), why, 10)
    assert units.changes == 10 + AGAIN
    assert [unit.sources for unit in units.at(10)][:4] == [(source,) for source in here]
    whole_mount = why == Apart.NOT_OFFERED
    assert (of(units, there[0], 10).folder is None) == whole_mount
    assert of(units, elsewhere[0], 10) is whole[2]
    assert of(units, here[0], 10 + AGAIN - 1).folder is None
    assert units.at(10 + AGAIN) == whole
    assert units.changes == inf


def test_the_root_of_a_mount_that_is_not_granted_says_nothing_of_its_folders() -> None:
    root, below = paths("", 4), paths("a/", 4)
    units = Units([*root, *below])
    units.learn(of(units, root[0], 0), Apart.NOT_GRANTED, 0)
    assert of(units, root[0], 0).folder is None
    assert of(units, below[0], 0).folder


def test_a_source_alone_falls_no_further_apart() -> None:
    units = Units(paths("a/", 1))
    units.learn(units.at(0)[0], Apart.NO_ANSWER, 0)
    assert units.changes == inf


def test_after_a_fresh_login_all_is_tried_again() -> None:
    units = Units(paths("a/", 4))
    units.learn(units.at(0)[0], Apart.NOT_GRANTED, 0)
    assert len(units.at(1)) == 4
    units.relearn()
    assert len(units.at(1)) == 1
