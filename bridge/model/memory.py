"""What one process remembers between its cycles. Losing it only delays: nothing rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bridge.model.actions import Action
from bridge.model.identity import Identity
from bridge.model.reasons import Reason
from bridge.model.verdicts import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """How the tasks of a service that is being rolled have been doing.

    Attributes:
        wanted: Ids of the secrets that its tasks should hold.
        good: Ids of the tasks that run with them.
        since: When exactly these tasks were first seen, with no other task alive.
        best: Most good tasks seen at once.
        idle: Seconds that passed before our eyes since ``best`` last grew.
        looked: When it was looked at last.
        died: Whether a task that was good failed, and the engine was no longer replacing tasks.
        lost: Ids of the service's tasks that were seen on nodes that were down.
        stuck: Seconds that passed before our eyes for which no task could be started; they are not
            counted in ``idle``.
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
    """When a failed action may be tried again.

    Attributes:
        tries: Failures in a row.
        message: What went wrong the last time.
        reason: What is said of what waits for it.
        passes: Whether it goes away by itself, rather than when somebody mends something.
        unknown: Whether the action may have been carried out, or may yet be (I13).
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
class Doubt:
    """Something is gone in Vault that was there, which one look does not prove.

    Attributes:
        as_of: When the look began that saw it first.
    """

    reason: Reason
    as_of: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Everything remembered.

    Attributes:
        seen: When each identity was first seen to be Vault's current one, by secret's name.
        watches: By service id.
        verdicts: Content refused in this process, by secret's name, until the swarm keeps it.
        backoffs: By the action's key.
        rolls: When each service was moved to each Docker secret, by ``(service id, secret id)``.
        doubts: By secret's name.
        vanished: When the look began that first saw the lease of a generation gone, by the id of
            its Docker secret.
        dates: When something happened by our clock that has a date of another clock, or of ours
            before it was set: by the id of what it happened to, and the date. See ``since``.
        met: When each update of a service was seen first, by the service's id and the time at which
            the update began by the engine's clock; each Docker secret, by its id and 0.
    """

    seen: Mapping[str, tuple[Identity, float]] = field(default_factory=dict)
    watches: Mapping[str, Watch] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    backoffs: Mapping[str, Backoff] = field(default_factory=dict)
    rolls: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    vanished: Mapping[str, float] = field(default_factory=dict)
    dates: Mapping[tuple[str, float], float] = field(default_factory=dict)
    met: Mapping[tuple[str, float], float] = field(default_factory=dict)

    def since(self, owner: str, date: float, now: float) -> float:
        """Tell when something happened that has a date, so that seconds can be counted from it.

        A date is compared with our clock once, when it is seen first; from then on the boot clock
        counts, whatever becomes of either clock. What lies in the future happened just now.
        """
        return self.dates.get((owner, date), min(date, now))

    def met_at(self, owner: str, now: float, date: float = 0.0) -> float:
        """Tell when something was seen first."""
        return self.met.get((owner, date), now)

    def moved(self, by: float) -> Memory:
        """Return the same on a clock that was set by so many seconds."""
        return Memory(
            seen={name: (identity, at + by) for name, (identity, at) in self.seen.items()},
            watches={
                key: replace(watch, since=watch.since + by, looked=watch.looked + by)
                for key, watch in self.watches.items()
            },
            verdicts=self.verdicts,
            backoffs={key: replace(b, until=b.until + by) for key, b in self.backoffs.items()},
            rolls={key: tuple(at + by for at in times) for key, times in self.rolls.items()},
            doubts={
                key: replace(doubt, as_of=doubt.as_of + by) for key, doubt in self.doubts.items()
            },
            vanished={key: at + by for key, at in self.vanished.items()},
            dates={key: at + by for key, at in self.dates.items()},
            met={key: at + by for key, at in self.met.items()},
        )


class Result(StrEnum):
    """What became of an action."""

    DONE = "done"
    MOVED = "moved"  # somebody wrote in between, or the world is another: look again at once
    UNKNOWN = "unknown"  # the answer did not come (I13): look before anything is done again
    REFUSED = "refused"  # the content; it would be refused again
    FAILED = "failed"  # try again later


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action.

    Attributes:
        verdict: Where the content was refused.
        reason: Why it failed, where more is known than that it did.
    """

    action: Action
    result: Result
    message: str = ""
    verdict: Verdict | None = None
    reason: Reason = Reason.TRYING_AGAIN
