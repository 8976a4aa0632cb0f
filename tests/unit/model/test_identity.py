"""The order of versions: by the life of the path, then the number, then when each was written."""

from __future__ import annotations

from dataclasses import replace

from tests.support.builders import identity

_LATER = "2026-11-20T00:00:00Z"


def test_a_path_that_was_deleted_and_written_anew_has_newer_versions() -> None:
    """I12: Vault counts from 1 again."""
    assert identity(9) < identity(1, born=_LATER)
    assert identity(9) < replace(identity(1, born=_LATER), created=_LATER)


def test_within_one_life_the_number_decides() -> None:
    assert identity(9) < identity(10)
    assert identity(2) < replace(identity(10), created="2026-11-01T00:00:00Z")


def test_lives_are_ordered_as_times_though_vault_drops_zeros() -> None:
    """``.5Z`` is later than ``.45Z``, and ``Z`` alone is earlier than both."""
    lives = [f"2026-11-01T00:00:00{part}Z" for part in ("", ".45", ".5", ".500000001")]
    orders = [identity(1, born=life).order for life in lives]
    assert orders == sorted(set(orders))


def test_of_two_contents_with_one_number_the_one_written_later_is_newer() -> None:
    """A snapshot that is restored and written to gives a number for the second time."""
    assert identity(2) < replace(identity(2), created=_LATER)
    assert identity(2) != replace(identity(2), created=_LATER)
