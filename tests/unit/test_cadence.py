"""How long it is until the next cycle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.cadence import (
    EVENT_GAP,
    LONGEST_PAUSE,
    ROLLING_LOOK,
    EventPace,
    pause_after_cycle,
    pause_after_trouble,
)
from bridge.model.plan import Plan

NOW = 1000.0
RESTS = Plan(chains=(), holds=(), conditions=())


def _pause(
    plan: Plan = RESTS,
    *,
    vault_due: float = NOW + 60,
    login: float | None = None,
    left: float | None = None,
) -> float:
    return pause_after_cycle(plan, NOW, vault_due=vault_due, lease=30.0, login=login, left=left)


def test_trouble_makes_cycles_rarer() -> None:
    assert [pause_after_trouble(n) for n in (1, 2, 3, 99)] == [1.0, 2.0, 4.0, LONGEST_PAUSE]


def test_the_next_cycle_comes_with_what_is_due_first() -> None:
    assert _pause() == 30.0  # the leader's lease
    assert _pause(vault_due=NOW + 20) == 20.0
    assert _pause(login=12.0) == 12.0
    assert _pause(left=3.0) == 3.0
    assert _pause(replace(RESTS, wake_at=NOW + 7)) == 7.0
    assert _pause(replace(RESTS, rolling=True)) == ROLLING_LOOK


def test_what_is_overdue_is_done_at_once() -> None:
    assert _pause(vault_due=NOW - 5) == 0.0


def test_an_event_is_followed_by_a_cycle_at_once() -> None:
    pace = EventPace()
    for now in range(1, 10):
        assert pace.pause(float(now), took=0.02) == 0.0


def test_a_handful_of_events_is_followed_at_once_and_more_of_them_at_a_distance() -> None:
    pace = EventPace()
    pauses = [pace.pause(NOW, took=0.02) for _ in range(8)]
    assert pauses == pytest.approx([0.0] * 5 + [EVENT_GAP, 2 * EVENT_GAP, 3 * EVENT_GAP])


def test_cycles_for_events_take_half_of_the_time_at_most() -> None:
    """However long one takes, and however many events there are."""
    pace, now, worked = EventPace(), NOW, 0.0
    for _ in range(100):
        now += pace.pause(now, took=3.0) + 3.0
        worked += 3.0
    assert worked <= (now - NOW) / 2 + 3.0
