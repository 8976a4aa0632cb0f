"""How secrets stand and what is held, said in the log once per change."""

from __future__ import annotations

from typing import Any

from bridge.model.plan import Condition, Plan
from bridge.model.reasons import State


class News:
    """Knows what was said before.

    Args:
        log: A structlog logger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._said: dict[str, tuple[str, str]] = {}
        self._said_holds: set[tuple[str, str, str]] = set()

    def tell(self, plan: Plan) -> None:
        """Log how secrets stand and what is held, once per change."""
        for condition in plan.conditions:
            rolling = condition.state == State.ROLLING
            now = (str(condition.state), "" if rolling else str(condition.reason))
            if self._said.get(condition.name) != now:
                self._said[condition.name] = now
                self._log.info("state", **_fields(condition))
        holds = {(h.secret, h.service, str(h.reason)): h for h in plan.holds if not h.waits}
        for key in holds.keys() - self._said_holds:
            hold = holds[key]
            self._log.warning(
                "held",
                secret=hold.secret,
                service=hold.service or None,
                reason=str(hold.reason),
                because=hold.message,
            )
        for secret, service, reason in self._said_holds - holds.keys():
            self._log.info("no longer held", secret=secret, service=service or None, reason=reason)
        self._said_holds = set(holds)


def _fields(condition: Condition) -> dict[str, object]:
    fields: dict[str, object] = {
        "secret": condition.name,
        "state": str(condition.state),
        "reason": str(condition.reason),
        "vault_version": condition.vault_version,
        "running_version": condition.running_version,
    }
    return {**fields, "because": condition.message} if condition.message else fields
