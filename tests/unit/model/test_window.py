from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bridge.model.window import Window, opening_of

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    """Return a moment in Berlin; 2026-11-23 is a Monday."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


NIGHTS = Window.read("Mon-Fri 22:00-04:00", "Europe/Berlin")


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T21:59", False),
        ("2026-11-23T22:00", True),
        ("2026-11-24T03:59", True),
        ("2026-11-24T04:00", False),
        ("2026-11-28T03:59", True),  # the night that began on Friday
        ("2026-11-28T22:30", False),
        ("2026-11-23T03:00", False),  # the night that began on Sunday
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens(
    moment: str, is_open: bool
) -> None:
    assert NIGHTS.is_open(at(moment)) is is_open


def test_the_next_opening_is_found_across_the_weekend() -> None:
    assert NIGHTS.next_opening(at("2026-11-28T12:00")) == at("2026-11-30T22:00")
    assert NIGHTS.next_opening(at("2026-11-23T12:00")) == at("2026-11-23T22:00")
    assert NIGHTS.next_opening(at("2026-11-23T22:00")) == at("2026-11-24T22:00")


def test_clocks_that_are_put_back_or_forward_move_it_along() -> None:
    """In the night to 2026-10-25 Berlin has 02:30 twice, in that to 2026-03-29 not at all."""
    window = Window.read("Sun 04:00-05:00", "Europe/Berlin")
    assert window.next_opening(at("2026-10-24T12:00")) == at("2026-10-25T04:00")
    assert window.next_opening(at("2026-03-28T12:00")) == at("2026-03-29T04:00")


def test_days_are_lists_and_ranges_and_all_of_them_where_none_is_named() -> None:
    assert Window.read("Sat,Sun 00:00-24:00").days == {5, 6}
    assert Window.read("Fri-Mon 01:00-02:00").days == {4, 5, 6, 0}
    assert Window.read("01:00-02:00").days == set(range(7))
    assert Window.read("Sat 00:00-24:00").is_open(at("2026-11-28T12:00"))


@pytest.mark.parametrize(
    ("allow", "zone", "words"),
    [
        ("nights", "UTC", "as in `Mon-Fri 22:00-04:00`"),
        ("Mon 25:00-26:00", "UTC", "no time of day"),
        ("Mon 10:70-11:00", "UTC", "no time of day"),
        ("Mo 10:00-11:00", "UTC", "no day"),
        ("Abc 10:00-11:00", "UTC", "no day"),
        ("Mon/Tue 10:00-11:00", "UTC", "`Mon/Tue` is no day"),
        ("Mon 10:00-11:00", "Mars/Olympus", "no time zone"),
        ("Mon 10:00-11:00", "../etc", "no time zone"),
    ],
)
def test_what_cannot_be_read_is_said(allow: str, zone: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Window.read(allow, zone)


def test_the_first_of_several_opens_and_none_means_always() -> None:
    mornings = Window.read("08:00-09:00", "Europe/Berlin")
    moment = at("2026-11-23T12:00")
    assert opening_of([NIGHTS, mornings], moment) == at("2026-11-23T22:00")
    assert opening_of([NIGHTS, mornings], at("2026-11-23T08:30")) is None
    assert opening_of([], moment) is None
