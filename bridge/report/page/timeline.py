"""The drawing of a secret's rotations: a lane for each version, a band where two were valid.

Windows of minutes lie between rotations of months, so the axis is no ruler: the more time lies
between two events the wider they are apart, but by its logarithm only. The figures are written
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log1p

from bridge.report.page.page_view import Band, Lane, Rotation, Segment, Span, Tick, Timeline
from bridge.report.page.page_words import ago, span

WIDTH = 460.0
_LEFT = 38.0
_RIGHT = WIDTH - 10.0
_LANE = 26.0
_TOP = 6.0
_BAR = 10.0
_LEAST = 1.2
"""Least room between two events, in the units of the logarithm."""

_APART = 74.0
"""Room that the text of a tick needs."""

Axis = Callable[[float], float]


def timeline_of(rotations: Sequence[Rotation], now: float) -> Timeline | None:
    """Return the drawing; None where there is nothing to draw.

    Args:
        rotations: Newest first, as their lanes are.
    """
    if not rotations:
        return None
    times = sorted({time for each in rotations for time in _times(each) if time < now} | {now})
    axis = _axis(times)
    lanes = tuple(_lane(each, n, axis, now) for n, each in enumerate(rotations))
    bands = tuple(_band(each.both, n, axis, now) for n, each in enumerate(rotations) if each.both)
    bottom = _TOP + _LANE * len(lanes)
    made = sorted({each.created for each in rotations if each.created < now})
    return Timeline(WIDTH, bottom + 18.0, lanes, bands, _ticks(made, axis, now))


def _times(rotation: Rotation) -> list[float]:
    own = (rotation.created, rotation.mirrored, rotation.begun, rotation.good, rotation.ended)
    both = rotation.both
    ends = (both.since, both.until) if both else ()
    return [time for time in (*own, *ends) if time]


def _axis(times: Sequence[float]) -> Axis:
    """Return where each of the times is drawn."""
    steps = [max(_LEAST, log1p(later - sooner)) for sooner, later in pairwise(times)]
    whole = sum(steps)
    places = {times[0]: _LEFT if steps else _RIGHT}
    passed = 0.0
    for time, step in zip(times[1:], steps, strict=True):
        passed += step
        places[time] = _LEFT + (_RIGHT - _LEFT) * passed / whole
    return lambda time: places.get(time, _RIGHT)


def _lane(rotation: Rotation, number: int, axis: Axis, now: float) -> Lane:
    """Draw a version: made and mirrored, rolled, good, until it is over."""
    end = rotation.ended or now
    rolled = rotation.begun or rotation.good or end
    good = rotation.good or end
    parts = ((rotation.created, rolled, "made"), (rolled, good, "rolled"), (good, end, "kept"))
    segments = tuple(
        Segment(axis(since), round(axis(until) - axis(since), 1), look)
        for since, until, look in parts
        if axis(until) > axis(since)
    )
    y = _TOP + _LANE * number + (_LANE - _BAR) / 2
    return Lane(rotation.version, y, segments, rotation.aside)


def _band(both: Span, number: int, axis: Axis, now: float) -> Band:
    """Draw a window over the lane of the newer version and that of the older one below it."""
    left, right = axis(both.since), axis(both.until or now)
    return Band(
        x=round(left, 1),
        width=round(max(2.0, right - left), 1),
        y=_TOP + _LANE * number + 2.0,
        height=_LANE * 2 - 4.0,
        text=span((both.until or now) - both.since),
    )


def _ticks(made: Sequence[float], axis: Axis, now: float) -> tuple[Tick, ...]:
    """Return when versions were made in Vault, as many as have room, from now backwards."""
    found = [Tick(_RIGHT, "now", "end")]
    for time in reversed(made):
        x = axis(time)
        room = _APART if len(found) > 1 else _APART * 0.6
        if found[-1].x - x >= room:
            found.append(
                Tick(round(x, 1), ago(now - time), "middle" if x > _LEFT + 20 else "start")
            )
    return tuple(found)
