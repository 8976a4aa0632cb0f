"""When Vault is looked at again, and how long it is until the next cycle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.cadence import (
    LONGEST_PAUSE,
    ROLLING_LOOK,
    VaultPace,
    pause_after_cycle,
    pause_after_trouble,
)
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.vault_view import KvDocument, Unreadable, VaultView
from bridge.sources.kv.source import KvPath

NOW = 1000.0
INTERVAL = 10.0
READ = KvDocument("2026-01-01T00:00:00Z", 1, {})
AWAY = Unreadable(Reason.VAULT_UNREACHABLE, "no answer", everywhere=False)
ALL_AWAY = Unreadable(Reason.VAULT_UNREACHABLE, "no answer", everywhere=True)
BUSY = Unreadable(Reason.VAULT_UNREACHABLE, "429", everywhere=True, retry_after=300.0)
RESTS = Plan(chains=(), holds=(), conditions=())


def _pace(jitter: float = 0.0) -> VaultPace:
    return VaultPace(INTERVAL, lambda: jitter)


def _view(*seen: KvDocument | Unreadable) -> VaultView:
    return VaultView(NOW, {KvPath("", "secret", f"p{n}"): each for n, each in enumerate(seen)})


def _pause(
    plan: Plan = RESTS,
    *,
    vault_due: float = NOW + 60,
    login: float | None = None,
    left: float | None = None,
) -> float:
    return pause_after_cycle(plan, NOW, vault_due=vault_due, lease=30.0, login=login, left=left)


def test_the_first_look_is_due_at_once() -> None:
    assert _pace().due <= NOW


@pytest.mark.parametrize("jitter", [-0.1, 0.0, 0.1])
def test_looks_follow_the_interval_with_jitter(jitter: float) -> None:
    pace = _pace(jitter)
    pace.looked(_view(READ, READ), NOW)
    assert pace.due == pytest.approx(NOW + INTERVAL * (1 + jitter))


def test_a_path_that_fails_for_itself_makes_looks_no_rarer() -> None:
    pace = _pace()
    for _ in range(5):
        pace.looked(_view(READ, AWAY), NOW)
    assert pace.due == NOW + INTERVAL


@pytest.mark.parametrize("seen", [(AWAY, AWAY), (READ, ALL_AWAY)])
def test_pauses_double_while_vault_is_away(seen: tuple[KvDocument | Unreadable, ...]) -> None:
    """It counts as away where one answer says so of all of it, or where no path can be read."""
    pace = _pace()
    pauses: list[float] = []
    for _ in range(4):
        pace.looked(_view(*seen), NOW)
        pauses.append(pace.due - NOW)
    assert pauses == [20.0, 40.0, LONGEST_PAUSE, LONGEST_PAUSE]
    pace.looked(_view(READ), NOW)
    assert pace.due == NOW + INTERVAL


def test_a_long_interval_is_not_made_shorter_by_trouble() -> None:
    pace = VaultPace(3600.0, lambda: 0.0)
    pace.looked(_view(ALL_AWAY), NOW)
    assert pace.due == NOW + 3600.0


def test_vault_is_left_alone_for_as_long_as_it_asks_for() -> None:
    pace = _pace()
    pace.looked(_view(BUSY), NOW)
    assert pace.due == NOW + BUSY.retry_after


def test_a_look_is_brought_forward_and_never_put_off() -> None:
    pace = _pace()
    pace.looked(_view(READ), NOW)
    pace.bring_forward(NOW + 100)
    assert pace.due == NOW + INTERVAL
    pace.bring_forward(NOW + 1)
    assert pace.due == NOW + 1
    pace.look_at_once()
    assert pace.due <= NOW


def test_the_time_of_the_next_look_follows_a_clock_that_was_set() -> None:
    pace = _pace()
    pace.looked(_view(READ), NOW)
    pace.move(-500.0)
    assert pace.due == NOW + INTERVAL - 500.0


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
