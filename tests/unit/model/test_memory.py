"""What is remembered moves with a wall clock that was set: all of it, and by as much."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from bridge.model.memory import Backoff, Memory, SecondLook, Watch
from bridge.model.reasons import Reason
from tests.support.builders import NOW, identity

WATCH = Watch(
    wanted=frozenset({"a"}), good=frozenset({"t"}), since=NOW - 5, best=1, idle=3.0, looked=NOW - 1
)
FULL = Memory(
    seen={"db": (identity(1), NOW - 1)},
    watches={"s": WATCH},
    verdicts={},
    backoffs={"k": Backoff(tries=1, until=NOW + 2, message="m")},
    rolls={("s", "a"): (NOW - 4, NOW - 3)},
    second_looks={"db": SecondLook(Reason.PATH_MISSING, NOW - 6)},
    vanished={"i": NOW - 7},
    dates={("i", NOW - 50): NOW - 40},
    met={("s", 12.0): NOW - 30},
)
NO_TIMES = {"idle", "stuck", "granted", "period", "longest", "paths"}
"""Spans of seconds, and what has dates of Vault's."""


def _times(value: Any) -> list[float]:
    """Return all times in a value; keys are no times."""
    if isinstance(value, float):
        return [value]
    if is_dataclass(value):
        known = [f.name for f in fields(value) if f.name not in NO_TIMES]
        return [time for name in known for time in _times(getattr(value, name))]
    if isinstance(value, dict):
        return [time for part in value.values() for time in _times(part)]
    if isinstance(value, tuple):
        return [time for part in value for time in _times(part)]
    return []


@pytest.mark.parametrize("by", [-7200.0, 7200.0])
def test_all_times_move_and_nothing_else(by: float) -> None:
    moved = FULL.moved(by)
    assert _times(moved) == [time + by for time in _times(FULL)]
    assert moved.moved(-by) == FULL


def test_nothing_of_the_memory_is_left_out() -> None:
    """Whoever adds a field decides whether it moves, and fills it here."""
    filled = {f.name for f in fields(Memory) if getattr(FULL, f.name)}
    assert filled == {f.name for f in fields(Memory)} - {"verdicts"}


def test_a_date_counts_from_when_it_is_seen_where_it_lies_in_the_future() -> None:
    assert Memory().since("i", NOW + 7200, NOW) == NOW
    assert Memory().since("i", NOW - 7200, NOW) == NOW - 7200
    assert FULL.since("i", NOW - 50, NOW) == NOW - 40
