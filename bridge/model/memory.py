"""The memory of a process between its cycles: backoffs, second looks, the progress of rolls.

Losing it only delays. What must not be lost is in the labels of Docker secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bridge.model.actions import Action
from bridge.model.identity import Identity
from bridge.model.reasons import Reason
from bridge.model.verdicts import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """The history of the tasks of a service that is being rolled.

    Attributes:
        wanted: Ids of the Docker secrets that its tasks should hold.
        good: Ids of the tasks that run with all of them.
        since: When exactly these tasks, and no other live ones, were first seen.
        best: Most good tasks seen at once.
        idle: Observed seconds since ``best`` last grew.
        looked: When the tasks were last looked at.
        died: Whether a good task failed while the engine was not replacing tasks.
        lost: Ids of the service's tasks that were seen on nodes that were down.
        stuck: Observed seconds in which no task could be started; ``idle`` does not count them.
    """

    wanted: frozenset[str]
    good: frozenset[str]
    since: float
    best: int
    idle: float
    looked: float
    died: bool = False
    lost: frozenset[str] = frozenset()
    stuck: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """The pause after a failed action, which doubles with each failure in a row.

    Attributes:
        tries: Failures in a row.
        until: When the action may be tried again.
        message: What went wrong the last time.
        reason: Reason that is reported for what waits.
        passes: Whether the failure goes away by itself; else somebody has to act.
        unknown: Whether the action may have been carried out, or may still be (I13).
        secrets: Names of the secrets that the action is for.
        service: Name of the service that it writes; empty where it writes none.
    """

    tries: int
    until: float
    message: str
    reason: Reason = Reason.TRYING_AGAIN
    passes: bool = True
    unknown: bool = False
    secrets: tuple[str, ...] = ()
    service: str = ""


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Something that was in Vault was not found by one look, which is no proof that it is gone.

    A standby that lags, or a restore that is under way, looks the same for a moment.

    Attributes:
        as_of: When the look began that did not find it first.
    """

    reason: Reason
    as_of: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Everything that a process remembers from one cycle to the next.

    Attributes:
        seen: Vault's current identity and when it was first seen, by secret's name.
        watches: Histories of the tasks of services that are being rolled, by service id.
        verdicts: Content refused in this process, by secret's name, until the swarm keeps it.
        backoffs: Pauses after failures, by the key of the action.
        rolls: When each service was moved to each Docker secret, by ``(service id, secret id)``.
        second_looks: What the latest look at Vault did not find any more, by secret's name.
        vanished: When the look began that first found the lease of a generation gone, by the id of
            its Docker secret.
        dates: When an event with a date happened on this process's clock, by the id of what it
            happened to and the date. See ``since``.
        met: When each update of a service was first seen, by the service's id and the engine's time
            of the update; and each Docker secret, by its id and 0.
    """

    seen: Mapping[str, tuple[Identity, float]] = field(default_factory=dict)
    watches: Mapping[str, Watch] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    backoffs: Mapping[str, Backoff] = field(default_factory=dict)
    rolls: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)
    second_looks: Mapping[str, SecondLook] = field(default_factory=dict)
    vanished: Mapping[str, float] = field(default_factory=dict)
    dates: Mapping[tuple[str, float], float] = field(default_factory=dict)
    met: Mapping[tuple[str, float], float] = field(default_factory=dict)

    def since(self, owner: str, date: float, now: float) -> float:
        """Return when an event with a date happened, so that seconds can be counted from it.

        A date of another clock is compared with ours once, when it is first seen. From then on
        only the time that passes counts, even if either clock is set. A date in the future counts
        as now.
        """
        return self.dates.get((owner, date), min(date, now))

    def all_since(
        self, events: Iterable[tuple[str, float]], now: float
    ) -> dict[tuple[str, float], float]:
        """Return ``since`` of many events, by their owners and dates."""
        dates = self.dates
        return {event: dates.get(event, min(event[1], now)) for event in events}

    def met_at(self, owner: str, now: float, date: float = 0.0) -> float:
        """Return when something was first seen: now, where that is news."""
        return self.met.get((owner, date), now)

    def moved(self, by: float) -> Memory:
        """Return the same memory on a clock that was set forward by so many seconds."""
        return Memory(
            seen={name: (identity, at + by) for name, (identity, at) in self.seen.items()},
            watches={
                key: replace(watch, since=watch.since + by, looked=watch.looked + by)
                for key, watch in self.watches.items()
            },
            verdicts=self.verdicts,
            backoffs={key: replace(b, until=b.until + by) for key, b in self.backoffs.items()},
            rolls={key: tuple(at + by for at in times) for key, times in self.rolls.items()},
            second_looks={
                key: replace(doubt, as_of=doubt.as_of + by)
                for key, doubt in self.second_looks.items()
            },
            vanished={key: at + by for key, at in self.vanished.items()},
            dates={key: at + by for key, at in self.dates.items()},
            met={key: at + by for key, at in self.met.items()},
        )


class Result(StrEnum):
    """The result of an action."""

    DONE = "done"
    MOVED = "moved"  # somebody else wrote in between: look again at once
    UNKNOWN = "unknown"  # the answer did not come (I13): look before anything is done again
    REFUSED = "refused"  # the content; it would be refused again
    FAILED = "failed"  # try again later


@dataclass(frozen=True, slots=True)
class Outcome:
    """An action with its result.

    Attributes:
        verdict: The verdict on the content, where that was refused.
        reason: Why it failed; ``TRYING_AGAIN`` where no more is known.
    """

    action: Action
    result: Result
    message: str = ""
    verdict: Verdict | None = None
    reason: Reason = Reason.TRYING_AGAIN
