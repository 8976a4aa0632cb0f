"""The log of secrets' states and of what is held: one line for each change.

What changes for many secrets at once, as when Vault goes away, is one line and not one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import groupby
from typing import Any, TypeVar

from bridge.model.conditions import Condition, Hold
from bridge.model.events import Event
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State

MANY = 5
"""Lines of one kind in one cycle, beyond which they are one."""

_WARNINGS = {
    Reason.FORCED_BY_EXPIRY: Event.FORCED,
    Reason.FIELDS_SHARED: Event.FIELDS_SHARED,
    Reason.TEMPLATING_ENDS: Event.TEMPLATING_ENDS,
    Reason.OVERDUE: Event.OVERDUE,
}

_T = TypeVar("_T")


class News:
    """Knows what was logged last.

    Args:
        log: A structlog logger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._states: dict[str, tuple[str, str]] = {}
        self._held: set[tuple[str, str, str]] = set()
        self._warned: set[tuple[str, str, str]] = set()
        self._rotations: dict[str, str] = {}

    def tell(self, plan: Plan) -> None:
        """Log the state of each secret and what is held, where it has changed.

        A state that is nothing but a hold is told by the line of the hold alone.
        """
        self._rotations = {c.name: c.rotation for c in plan.conditions if c.rotation}
        holds = {(h.secret, h.service, str(h.reason)): h for h in plan.holds if not h.waits}
        self._tell_states(plan.conditions, {(secret, reason) for secret, _, reason in holds})
        self._tell_warnings(plan.notices)
        new = [hold for key, hold in holds.items() if key not in self._held]
        for group in _groups(new, lambda hold: str(hold.reason)):
            self._tell_holds(group)
        over = sorted(self._held - holds.keys())
        for gone in _groups(over, lambda key: key[2]):
            reason = gone[0][2]
            if len(gone) > MANY:
                self._log.info(Event.NO_LONGER_HELD, reason=reason, count=len(gone))
                continue
            for secret, service, _ in gone:
                fields = self._fields(secret, service)
                self._log.info(Event.NO_LONGER_HELD, reason=reason, **fields)
        self._held = set(holds)

    def _fields(self, secret: str, service: str = "") -> dict[str, str]:
        fields = {"secret": secret, "service": service, "rotation": self._rotations.get(secret, "")}
        return {key: value for key, value in fields.items() if value}

    def _tell_warnings(self, notices: Iterable[Hold]) -> None:
        told = {(n.secret, n.service, str(n.reason)): n for n in notices if n.reason in _WARNINGS}
        new = [notice for key, notice in told.items() if key not in self._warned]
        for group in _groups(new, lambda notice: str(notice.reason)):
            event, reason = _WARNINGS[group[0].reason], str(group[0].reason)
            if len(group) > MANY:
                self._log.warning(event, reason=reason, count=len(group), message=group[0].message)
                continue
            for notice in group:
                fields = self._fields(notice.secret, notice.service)
                self._log.warning(event, message=notice.message, reason=reason, **fields)
        self._warned = set(told)

    def _tell_holds(self, holds: list[Hold]) -> None:
        first, reason = holds[0], str(holds[0].reason)
        if len(holds) > MANY:
            self._log.warning(Event.HELD, reason=reason, count=len(holds), message=first.message)
            return
        for hold in holds:
            fields = self._fields(hold.secret, hold.service)
            self._log.warning(Event.HELD, reason=reason, message=hold.message, **fields)

    def _tell_states(
        self, conditions: Iterable[Condition], holds: Collection[tuple[str, str]]
    ) -> None:
        new: list[Condition] = []
        for condition in conditions:
            rolling = condition.state == State.ROLLING
            now = (str(condition.state), "" if rolling else str(condition.reason))
            if self._states.get(condition.name) != now:
                self._states[condition.name] = now
                if condition.state != State.HELD or not _is_held(condition, holds):
                    new.append(condition)
        for group in _groups(new, lambda c: f"{c.state} {c.reason}"):
            if len(group) > MANY:
                fields = {"state": str(group[0].state), "reason": str(group[0].reason)}
                self._log.info(Event.STATE, count=len(group), **fields)
                continue
            for condition in group:
                self._log.info(Event.STATE, **_fields(condition))


def _is_held(condition: Condition, holds: Collection[tuple[str, str]]) -> bool:
    reason = str(condition.reason)
    return (condition.name, reason) in holds or ("", reason) in holds


def _groups(found: Iterable[_T], key: Callable[[_T], str]) -> list[list[_T]]:
    return [list(group) for _, group in groupby(sorted(found, key=key), key)]


def _fields(condition: Condition) -> dict[str, object]:
    fields: dict[str, object] = {
        "secret": condition.name,
        "state": str(condition.state),
        "reason": str(condition.reason),
        "vault_version": condition.vault_version,
        "running_version": condition.running_version,
    }
    more = {"rotation": condition.rotation, "message": condition.message}
    return fields | {key: value for key, value in more.items() if value}
