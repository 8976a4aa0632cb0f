"""Maintenance windows: the times at which rolls may begin."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT = tuple(day[:3] for day in _DAYS)
_MIDNIGHT = 24 * 60
_ALLOW = re.compile(r"(?:(\S+)\s+)?(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)")
_PART = re.compile(r"([A-Za-z]+)(?:-([A-Za-z]+))?")
_JOINT = re.compile(r"\s*([-\u2013,])\s*")


@dataclass(frozen=True, slots=True)
class Window:
    """A time of day on some days of the week, in a time zone.

    Attributes:
        days: Days on which it opens; 0 is Monday.
        opens, closes: Minutes after midnight. A window that closes before it opens closes on the
            next day; one that closes when it opens lasts a whole day.
        zone: Name of the time zone, as ``Europe/Berlin``.
    """

    days: frozenset[int]
    opens: int
    closes: int
    zone: str = "UTC"

    @classmethod
    def read(cls, allow: str, zone: str = "UTC") -> Window:
        """Return the window that a text as ``Mon-Fri 22:00-04:00`` means; without days: every day.

        Raises:
            ValueError: The text is no window, or there is no such zone.
        """
        match = _ALLOW.fullmatch(_JOINT.sub(_joined, allow.strip()))
        if match is None:
            raise ValueError("days and times are needed, as in `Mon-Fri 22:00-04:00`")
        opens, closes = (_minutes(match[place], match[place + 1]) for place in (2, 4))
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"there is no time zone {zone}; one is named `Europe/Berlin`"
            ) from None
        return cls(_days(match[1] or "Mon-Sun"), opens % _MIDNIGHT, closes % _MIDNIGHT, zone)

    def is_open(self, now: float) -> bool:
        """Return whether it is open at a time, in seconds since the epoch."""
        local = datetime.fromtimestamp(now, ZoneInfo(self.zone))
        minute, today = local.hour * 60 + local.minute, local.weekday()
        yesterday = (today - 1) % 7
        if self.opens < self.closes:
            return today in self.days and self.opens <= minute < self.closes
        late = today in self.days and minute >= self.opens
        return late or (yesterday in self.days and minute < self.closes)

    def next_opening(self, now: float) -> float:
        """Return when it opens next, in seconds since the epoch."""
        local = datetime.fromtimestamp(now, ZoneInfo(self.zone))
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        for ahead in range(9):
            day = midnight + timedelta(days=ahead)
            opening = day.replace(hour=self.opens // 60, minute=self.opens % 60).timestamp()
            if day.weekday() in self.days and opening > now:
                return opening
        raise AssertionError("a window opens on one day of the week at least")


def opening_of(windows: Iterable[Window], now: float) -> float | None:
    """Return when the first of some windows opens; None where one is open, or there are none."""
    windows = tuple(windows)
    if not windows or any(window.is_open(now) for window in windows):
        return None
    return min(window.next_opening(now) for window in windows)


def _joined(match: re.Match[str]) -> str:
    return "," if match[1] == "," else "-"


def _minutes(hours: str, minutes: str) -> int:
    found = int(hours) * 60 + int(minutes)
    if found > _MIDNIGHT or int(minutes) > 59:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(f"{hours}:{minutes} is no time of day")
    return found


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"`{part}` is no day: {', '.join(_SHORT)} or Mon-Fri")
        first, last = (_day(name) for name in (match[1], match[2] or match[1]))
        found |= {(first + ahead) % 7 for ahead in range((last - first) % 7 + 1)}
    return frozenset(found)


def _day(name: str) -> int:
    for number, day in enumerate(_DAYS):
        if name.capitalize() in (day, _SHORT[number]):
            return number
    raise ValueError(f"`{name}` is no day: {', '.join(_SHORT)}")
