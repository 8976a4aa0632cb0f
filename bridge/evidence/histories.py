"""From records to rotations: when each began, who asked, how long two versions were valid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridge.evidence.chain import Record
from bridge.evidence.reading import moment_of
from bridge.model.events import Event

_MADE = {Event.MIRRORED, Event.ALREADY_MIRRORED, Event.MINTED}
_OVER = {Event.CREDENTIAL_ENDED, Event.LEASE_REVOKED, Event.UNUSED, Event.PRUNED}
_TROUBLE = {Event.SET_ASIDE, Event.BLOCKED, Event.ROLLING_BACK}


@dataclass(kw_only=True, slots=True)
class Rotation:
    """One version of one secret, by its records. Times are seconds since the epoch.

    Attributes:
        name: Name of the rotation.
        made: When its Docker secret was made; None where no record tells.
        rolled: When the first service was rolled to it; None where none was.
        arrived: When the last service had converged on it; None where none has.
        good: When every service had converged and baked on it; None where they have not.
        over: When it was seen to be used no more, or its credential ended; None where it was not.
        asked_by: Who asked for it, as its first record has it.
        services: The services that were rolled to it.
        failures: What went wrong: when, at which service, and in which words.
    """

    name: str
    secret: str
    version: int
    made: float | None = None
    rolled: float | None = None
    arrived: float | None = None
    good: float | None = None
    over: float | None = None
    asked_by: Mapping[str, object] = field(default_factory=dict)
    services: dict[str, None] = field(default_factory=dict)
    failures: list[tuple[float, str, str]] = field(default_factory=list)

    def take(self, record: Record, at: float) -> None:
        """Take a record that belongs to it."""
        act, service = record.get("act"), str(record.get("service") or "")
        if act in _MADE and record.get("outcome") == "done":
            self.made = at if self.made is None else self.made
            asked = record.get("asked_by")
            self.asked_by = asked if isinstance(asked, Mapping) else {}
        elif record.get("outcome") in {"failed", "refused", "unknown"} or act in _TROUBLE:
            self.failures.append((at, service, str(record.get("message", ""))))
        elif act == Event.ROLLING:
            self.rolled = at if self.rolled is None else self.rolled
            self.services[service] = None
        elif act == Event.CONVERGED:
            self.arrived = at
        elif act == Event.GOOD:
            self.good = at
        elif act in _OVER:
            self.over = at if self.over is None else self.over


@dataclass(frozen=True, slots=True)
class History:
    """The rotations of one secret, the oldest first."""

    secret: str
    rotations: tuple[Rotation, ...]

    def interval(self, number: int) -> float | None:
        """Return the seconds since the rotation before was good; None where there is none."""
        good = self.rotations[number].good
        earlier = [r.good for r in self.rotations[:number] if r.good is not None]
        return good - earlier[-1] if good is not None and earlier else None

    def both_valid(self, number: int) -> tuple[float, float | None] | None:
        """Return from when to when services held this version and the former one.

        It begins with the first service that is rolled. It ends when the former credential was seen
        to have ended, where that is known, else when the last service had converged; None while it
        lasts, or where the records do not tell.

        Returns:
            None where there is no former version, or no service was rolled.
        """
        rotation = self.rotations[number]
        if not number or rotation.rolled is None:
            return None
        former = self.rotations[number - 1]
        ends = former.over if former.over and former.over >= rotation.rolled else rotation.arrived
        return rotation.rolled, ends

    def ended_by(self, number: int) -> Rotation | None:
        """Return the first rotation that was good after a failure: that one, or a later one."""
        failed = self.rotations[number].failures
        since = failed[-1][0] if failed else 0.0
        later = (r for r in self.rotations[number:] if r.good is not None and r.good >= since)
        return next(later, None)


def histories_of(records: Iterable[Record]) -> tuple[History, ...]:
    """Return the rotations that records tell of, by secret."""
    found: dict[str, dict[str, Rotation]] = {}
    for record in records:
        secret, name, version = (record.get(key) for key in ("secret", "rotation", "version"))
        at = moment_of(record)
        if not (isinstance(secret, str) and isinstance(name, str)) or at is None:
            continue
        own = found.setdefault(secret, {})
        if name not in own:
            number = version if isinstance(version, int) else 0
            own[name] = Rotation(name=name, secret=secret, version=number)
        own[name].take(record, at)
    return tuple(
        History(secret, tuple(rotations.values())) for secret, rotations in sorted(found.items())
    )
