"""What is asked for together, and when that falls apart."""

from __future__ import annotations

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


def test_what_an_answer_leaves_out_is_asked_for_alone_and_then_with_the_others() -> None:
    first, missing, *rest = sources = paths("a/", 4)
    units = Units(sources)
    whole = units.of(missing, 0)
    assert whole.sources == tuple(sources)
    units.learn(whole, {first: None, rest[0]: None, rest[1]: None}, 0)
    alone = units.of(missing, 1)
    assert alone.sources == (missing,)
    assert alone.folder is None
    assert units.of(first, 1) is whole
    units.learn(alone, {missing: None}, 1)
    assert units.of(missing, 2) is whole


@pytest.mark.parametrize("why", list(Apart))
def test_a_folder_falls_apart_for_a_while(why: Apart) -> None:
    here, there, elsewhere = paths("a/", 4), paths("b/", 4), paths("a/", 4, "other")
    units = Units([*here, *there, *elsewhere])
    assert len(list(units.at(0))) == 3
    units.learn(units.of(here[0], 0), why, 10)
    assert [unit.sources for unit in units.at(10)][:4] == [(source,) for source in here]
    assert units.of(here[1], 10).sources == (here[1],)
    whole_mount = why == Apart.NOT_OFFERED
    assert (units.of(there[0], 10).folder is None) == whole_mount
    assert units.of(elsewhere[0], 10).folder
    assert units.of(here[0], 10 + AGAIN - 1).folder is None
    assert units.of(here[0], 10 + AGAIN).folder
    assert len(list(units.at(10 + AGAIN))) == 3


def test_the_root_of_a_mount_that_is_not_granted_says_nothing_of_its_folders() -> None:
    root, below = paths("", 4), paths("a/", 4)
    units = Units([*root, *below])
    units.learn(units.of(root[0], 0), Apart.NOT_GRANTED, 0)
    assert units.of(root[0], 0).folder is None
    assert units.of(below[0], 0).folder


def test_a_fresh_login_and_a_clock_that_is_set() -> None:
    sources = paths("a/", 4)
    units = Units(sources)
    units.learn(units.of(sources[0], 0), Apart.NOT_GRANTED, 0)
    units.move(1000)
    assert units.of(sources[0], AGAIN + 500).folder is None
    units.relearn()
    assert units.of(sources[0], 0).folder
