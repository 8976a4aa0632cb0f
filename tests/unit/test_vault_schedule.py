"""When each path of Vault is asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bridge.model.source import Source
from bridge.sources.folder import Unit
from bridge.sources.kv.source import KvPath
from bridge.vault_schedule import (
    LONGEST_PAUSE,
    LONGEST_PERIOD,
    SHORTEST_PERIOD,
    VaultSchedule,
    watch_period,
)

NOW = 1000.0
PERIOD = 10.0


def _units(count: int) -> list[Unit]:
    return [Unit((KvPath("", "kv", f"p{n}"),)) for n in range(count)]


def _schedule(count: int, offset: float = 0.0) -> tuple[VaultSchedule, list[Unit]]:
    units = _units(count)
    return VaultSchedule(units, PERIOD, offset), units


def _all(schedule: VaultSchedule, now: float) -> list[Unit]:
    """Take all that is due, and answer it at once."""
    found: list[Unit] = []
    while unit := schedule.take(now):
        found.append(unit)
        schedule.answered(unit, now)
    return found


def _run(schedule: VaultSchedule, start: float, seconds: float) -> list[tuple[float, Unit]]:
    """Ask for each unit at the moment at which it is due; returns the requests with their times."""
    found: list[tuple[float, Unit]] = []
    while (now := max(start, schedule.due())) < start + seconds:
        unit = schedule.take(now)
        assert unit is not None
        found.append((now, unit))
        schedule.answered(unit, now)
    return found


def test_all_is_due_at_first_in_the_order_of_the_configuration() -> None:
    schedule, units = _schedule(5)
    assert _all(schedule, NOW) == units
    assert schedule.take(NOW) is None


@pytest.mark.parametrize("offset", [0.0, 0.37, 0.99])
@pytest.mark.parametrize("count", [1, 7, 100])
def test_requests_come_evenly_and_each_path_once_in_a_period(count: int, offset: float) -> None:
    schedule, units = _schedule(count, offset)
    _all(schedule, NOW)
    asked = _run(schedule, NOW, 5 * PERIOD)
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(asked)]
    settled = gaps[count:]
    assert settled == pytest.approx([PERIOD / count] * len(settled))
    for unit in units:
        times = [at for at, each in asked if each == unit]
        assert len(times) in (4, 5, 6)
        assert times[0] - NOW <= 1.5 * PERIOD
        assert [b - a for a, b in pairwise(times)] == pytest.approx([PERIOD] * (len(times) - 1))


def test_the_period_counts_from_the_request_whatever_its_answer_takes() -> None:
    schedule, (unit,) = _schedule(1)
    assert schedule.take(NOW) == unit
    assert schedule.due() == float("inf")
    schedule.answered(unit, NOW)
    assert NOW + PERIOD / 2 < schedule.due() <= NOW + 1.5 * PERIOD


def test_what_is_wanted_comes_at_its_time_and_before_what_is_overdue() -> None:
    schedule, units = _schedule(100)
    _all(schedule, NOW)
    schedule.want(units[70], NOW + 1)
    assert (schedule.due(), schedule.take(NOW + 1)) == (NOW + 1, units[70])
    schedule.answered(units[70], NOW + 1)
    schedule.want(units[70], NOW + 2)
    assert _all(schedule, NOW + 100)[0] == units[70]
    schedule.all_due(NOW + 200)
    schedule.prefer([units[50].sources[0]])
    assert _all(schedule, NOW + 200)[0] == units[50]
    schedule.prefer([])
    schedule.all_due(NOW + 300)
    assert _all(schedule, NOW + 300) == units


def test_what_is_wanted_later_than_it_is_due_is_not_put_off() -> None:
    schedule, (unit,) = _schedule(1)
    _all(schedule, NOW)
    due = schedule.due()
    schedule.want(unit, due + 100)
    assert schedule.due() == due


def test_one_path_is_asked_for_ever_more_rarely_while_vault_is_away() -> None:
    schedule, _ = _schedule(5)
    pauses: list[float] = []
    now = NOW
    for _ in range(4):
        unit = schedule.take(now)
        assert unit is not None
        schedule.failed(unit, now, 0.0)
        assert schedule.take(now) is None
        pauses.append(schedule.due() - now)
        now = schedule.due()
    assert pauses == [20.0, 40.0, LONGEST_PAUSE, LONGEST_PAUSE]
    unit = schedule.take(now)
    assert unit is not None
    assert schedule.take(now + 1000) is None  # one at a time
    schedule.answered(unit, now)
    assert len(_all(schedule, now)) == 4  # all others are due at once
    assert not schedule.away


def test_several_that_were_under_way_when_vault_went_away_count_as_one_attempt() -> None:
    schedule, _ = _schedule(5)
    under_way = [schedule.take(NOW) for _ in range(4)]
    for unit in under_way:
        assert unit is not None
        schedule.failed(unit, NOW, 0.0)
    assert schedule.due() == NOW + 2 * PERIOD


def test_an_answer_to_a_request_that_was_under_way_ends_the_outage() -> None:
    """One request of several failed: Vault was away for a moment, and nothing is put off."""
    schedule, units = _schedule(3)
    assert [schedule.take(NOW), schedule.take(NOW)] == units[:2]
    schedule.failed(units[0], NOW, 0.0)
    schedule.answered(units[1], NOW)
    assert schedule.due() == NOW
    assert schedule.take(NOW) is not None


def test_a_long_period_is_not_made_shorter_by_trouble() -> None:
    (unit,) = units = _units(1)
    schedule = VaultSchedule(units, 3600.0, 0.0)
    assert schedule.take(NOW) == unit
    schedule.failed(unit, NOW, 0.0)
    assert schedule.due() == NOW + 3600.0


def test_vault_is_left_alone_for_as_long_as_it_asks_for() -> None:
    schedule, units = _schedule(3)
    assert schedule.take(NOW) == units[0]
    schedule.answered(units[0], NOW)
    schedule.rest(NOW + 300.0)
    assert schedule.take(NOW + 299.0) is None
    assert schedule.take(NOW + 300.0) is not None
    schedule.failed(units[1], NOW + 300.0, 500.0)
    assert schedule.due() == NOW + 800.0
    schedule.all_due(NOW + 400.0)
    assert schedule.due() == NOW + 800.0


def test_an_operator_need_not_wait_while_vault_is_away() -> None:
    schedule, units = _schedule(3)
    schedule.take(NOW)
    schedule.failed(units[0], NOW, 0.0)
    schedule.all_due(NOW + 1)
    assert schedule.take(NOW + 1) is not None


def _due(schedule: VaultSchedule) -> dict[Source, float]:
    """Return when each source is due, and take all of them."""
    found: dict[Source, float] = {}
    while (due := schedule.due()) < float("inf"):
        unit = schedule.take(due)
        assert unit is not None
        found |= dict.fromkeys(unit, due)
    return found


def test_other_units_keep_the_times_of_their_paths() -> None:
    (schedule, units), (other, _) = _schedule(4), _schedule(4)
    for each in (schedule, other):
        _all(each, NOW)
    paths = [source for unit in units for source in unit]
    due = _due(other)
    schedule.lay_out([Unit((paths[0], paths[1])), units[2], units[3]], PERIOD)
    found = _due(schedule)
    assert found[paths[0]] == found[paths[1]] == min(due[paths[0]], due[paths[1]])
    assert found[paths[3]] == due[paths[3]]


def test_what_was_wanted_stays_wanted_in_other_units() -> None:
    schedule, units = _schedule(50)
    _all(schedule, NOW)
    schedule.want(units[40], NOW)
    schedule.prefer(units[30])
    together = Unit((*units[39], *units[40]))
    schedule.lay_out([*units[:39], together, *units[41:]], PERIOD)
    schedule.all_due(NOW + 100)
    first, second = _all(schedule, NOW + 100)[:2]
    assert {first, second} == {together, units[30]}


@pytest.mark.parametrize(
    ("interval", "units", "rps", "period"),
    [
        (None, 10, 50.0, SHORTEST_PERIOD),
        (None, 250, 50.0, 10.0),
        (None, 10_000, 500.0, LONGEST_PERIOD),
        (None, 10_000, 50.0, 10_000 / 37.5),
        (10.0, 1, 50.0, 10.0),
        (10.0, 1000, 50.0, 1000 / 37.5),
    ],
)
def test_the_period_is_what_is_configured_or_what_max_rps_allows(
    interval: float | None, units: int, rps: float, period: float
) -> None:
    assert watch_period(interval, units, rps) == pytest.approx(period)
