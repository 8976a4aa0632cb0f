"""Seconds go on as the boot clock does, and only steps of the wall clock are noticed."""

from __future__ import annotations

import pytest

from bridge.clock import LEAST_STEP, Clock

HOURS = 3600.0


class _Times:
    """A wall clock and a boot clock, moved by hand."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.boot = 1000.0
        self.clock = Clock(lambda: self.wall, lambda: self.boot)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


@pytest.mark.parametrize("hours", [-2.0, 2.0])
def test_a_step_changes_nothing_before_it_is_followed(hours: float) -> None:
    times = _Times()
    before = times.clock()
    times.wall += hours * HOURS
    times.pass_by(10.0)
    assert times.clock() - before == pytest.approx(10.0)
    assert times.clock.follow() == pytest.approx(hours * HOURS)
    assert times.clock() == pytest.approx(times.wall)
    assert times.clock.follow() == 0.0


def test_time_that_passes_is_no_step() -> None:
    times = _Times()
    for seconds in (0.1, 100.0, 1e6):
        times.pass_by(seconds)
        assert times.clock.follow() == 0.0
        assert times.clock() == pytest.approx(times.wall)


def test_many_small_steps_are_one_at_last() -> None:
    times = _Times()
    steps = []
    for _ in range(10):
        times.wall += LEAST_STEP / 5
        steps.append(times.clock.follow())
    assert sum(steps) == pytest.approx(LEAST_STEP * 2, abs=LEAST_STEP)
    assert times.clock() == pytest.approx(times.wall, abs=LEAST_STEP)


def test_a_process_that_is_stopped_between_two_readings_sees_no_step() -> None:
    times = _Times()
    stops = [90.0]

    def wall() -> float:
        now = times.wall
        if stops:
            times.pass_by(stops.pop())
        return now

    clock = Clock(wall, lambda: times.boot)
    assert clock() == pytest.approx(times.wall)
    stops.append(90.0)
    assert clock.follow() == 0.0
