"""How long to wait before the next cycle. Pure: it reads no clock.

1. What is new in Vault, and events of the swarm, end a wait: at once, but a storm of them is
   followed by as many cycles as take half of the time.
2. While something is on its way there is a cycle each second: tasks that stay up, as a bake needs
   them to, cause no event.
"""

from __future__ import annotations

from bridge.model.plan import Plan

ROLLING_LOOK = 1.0
"""Seconds between two looks at the swarm while something is on its way."""

SECOND_LOOK = 1.0
"""Seconds after which Vault is looked at again where something seems to be gone there."""

EVENT_GAP = 0.2
"""Seconds between two cycles that events ask for, where events go on and on."""

EVENT_LEEWAY = 4 * EVENT_GAP
"""Seconds by which cycles may be ahead of that. One change of a service is told in several events,
some of them for our own writes: each of a handful is followed at once."""

LONGEST_PAUSE = 60.0
"""Seconds; the longest pause after trouble."""

_MOST_DOUBLINGS = 10


class EventPace:
    """When a cycle follows an event: at once, but in a storm of events now and then.

    All that happens before a cycle begins is seen by its look, so that nothing is lost between two.
    """

    def __init__(self) -> None:
        self._even = 0.0
        """When cycles will be at their pace again."""

    def pause(self, now: float, took: float) -> float:
        """Return the seconds before the cycle that an event asks for; it counts from now on.

        Args:
            now: Seconds on a clock that nobody sets.
            took: Seconds that the latest cycle took; no more than half of the time is spent so.
        """
        pause = max(0.0, self._even - EVENT_LEEWAY - now)
        self._even = max(self._even, now) + max(EVENT_GAP, 2 * took)
        return pause


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
        vault_due: When Vault is to be asked in a cycle again.
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
