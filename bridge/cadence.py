"""When to look at Vault again, and how long to wait before the next cycle. Pure: it reads no clock.

1. Vault is looked at every ``poll.interval``, jittered, and ever later while it is away.
2. The swarm is looked at in every cycle. Events of the swarm bring the next one forward.
3. While something is on its way there is a cycle each second: tasks that stay up, as a bake needs
   them to, cause no event.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.model.plan import Plan
from bridge.model.vault_view import Unreadable, VaultView

ROLLING_LOOK = 1.0
"""Seconds between two looks at the swarm while something is on its way."""

SECOND_LOOK = 1.0
"""Seconds after which Vault is looked at again where something seems to be gone there."""

LONGEST_PAUSE = 60.0
"""Seconds; the longest pause after trouble, unless ``poll.interval`` is longer."""

_MOST_DOUBLINGS = 10


class VaultPace:
    """When Vault is looked at the next time.

    Args:
        interval: Seconds between two looks while all is well.
        jitter: Returns by which part of it a pause is longer, or shorter where negative.

    Attributes:
        due: When the next look is due; at the beginning that is at once.
    """

    def __init__(self, interval: float, jitter: Callable[[], float]) -> None:
        self._interval = interval
        self._jitter = jitter
        self._troubles = 0
        self.due = 0.0

    def looked(self, view: VaultView, now: float) -> None:
        """Plan the next look after one that has ended now.

        Where Vault as a whole is away the pauses double, and are as long as it asks for.
        """
        away = [s for s in view.paths.values() if isinstance(s, Unreadable) and s.away]
        whole = any(seen.everywhere for seen in away) or (away and len(away) == len(view.paths))
        self._troubles = self._troubles + 1 if whole else 0
        pause = self._interval * 2.0 ** min(self._troubles, _MOST_DOUBLINGS)
        pause = min(pause, max(self._interval, LONGEST_PAUSE)) * (1 + self._jitter())
        asked_for = max((seen.retry_after for seen in away), default=0.0)
        self.due = now + max(pause, asked_for if whole else 0.0)

    def bring_forward(self, when: float) -> None:
        """Let the next look be no later than this."""
        self.due = min(self.due, when)

    def look_at_once(self) -> None:
        """Let the next cycle look, whatever the time."""
        self.due = 0.0

    def move(self, by: float) -> None:
        """Follow a clock that was set by so many seconds."""
        self.due += by


def pause_after_trouble(troubles: int) -> float:
    """Return the seconds before the next attempt, after so many cycles in a row that failed."""
    return min(2.0 ** min(troubles - 1, _MOST_DOUBLINGS), LONGEST_PAUSE)


def pause_after_cycle(
    plan: Plan,
    now: float,
    *,
    vault_due: float,
    lease: float,
    login: float | None,
    left: float | None,
) -> float:
    """Return the seconds until the next cycle after one in which nothing was done.

    Args:
        vault_due: When the next look at Vault is due.
        lease: Seconds after which the leader's lease is to be renewed.
        login: Seconds after which our login at Vault is to be renewed, if it is.
        left: Seconds after which the cycles end, if they do.
    """
    times = [vault_due, now + lease]
    if login is not None:
        times.append(now + login)
    if plan.wake_at is not None:
        times.append(plan.wake_at)
    if not plan.finished:
        times.append(now + ROLLING_LOOK)
    if left is not None:
        times.append(now + left)
    return max(0.0, min(times) - now)
