"""A bridge that runs for years needs no more memory than on its first day."""

from __future__ import annotations

from tests.bench.growth import MOST, growth


def test_nothing_grows_in_idle_cycles_and_rotations() -> None:
    idle, rolled = growth(60, 12)
    assert idle < MOST
    assert rolled < MOST
