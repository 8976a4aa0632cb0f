"""Times as Vault and the engine write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.timestamps import instant, moment, timestamp

_SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("2026-11-01T00:00:00Z", 0),
        ("2026-11-01T00:00:00.5Z", 500_000_000),
        ("2026-11-01T00:00:00.000000001Z", 1),
        ("2026-11-01T00:00:00.123456789Z", 123_456_789),
        ("2026-11-01T02:00:01+02:00", _SECOND),
        ("2026-10-31T19:30:02.25-04:30", 2 * _SECOND + 250_000_000),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, after: int) -> None:
    assert instant(text) - instant("2026-11-01T00:00:00Z") == after


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-01", "2026-11-01T00:00:00", "2026-13-01T00:00:00Z", "0x1", "1.0Z"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        instant(text)
    assert moment(text, 7.0) == 7.0


@given(st.integers(0, 10**10))
def test_a_second_that_is_written_is_read_back(seconds: int) -> None:
    assert instant(timestamp(seconds + 0.75)) == seconds * _SECOND
