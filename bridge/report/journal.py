"""The log of what was done: one line for each secret that an action concerns, however it ended."""

from __future__ import annotations

from typing import Any

from bridge.model.actions import (
    Action,
    Annotate,
    CreateSecret,
    MintGeneration,
    NoteState,
    RemoveSecret,
    RollService,
    Tend,
    TendGeneration,
    WakeUpdater,
)
from bridge.model.events import Event
from bridge.model.labels import GOOD
from bridge.model.memory import Outcome, Result
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from bridge.report.facts import facts_of

_ALARMS = frozenset((Reason.LEASE_VANISHED, Reason.FORCED_BY_EXPIRY))
_WARNINGS = frozenset(
    (Event.ROLLING_BACK, Event.UPDATER_WOKEN, Event.SET_ASIDE, Event.WISH_REFUSED)
)

_TENDED = {
    Tend.MAKE_PERMANENT: Event.CUSTODY_PERMANENT,
    Tend.RENEW_CUSTODY: Event.CUSTODY_RENEWED,
    Tend.RENEW_LEASE: Event.LEASE_RENEWED,
    Tend.RETIRE: Event.RETIRING,
    Tend.SHORTEN: Event.LEASE_SHORTENED,
    Tend.REVOKE: Event.LEASE_REVOKED,
    Tend.RELEASE: Event.CUSTODY_REVOKED,
    Tend.ROTATE: Event.STATIC_ROLE_ROTATED,
}

_NOTES = {
    Reason.ROLL_FAILED: Event.SET_ASIDE,
    Reason.SET_ASIDE: Event.SET_ASIDE,
    Reason.SERVICE_UNHEALTHY: Event.SET_ASIDE,
    Reason.CANNOT_BE_SCHEDULED: Event.BLOCKED,
    Reason.IMAGE_MISSING: Event.BLOCKED,
    Reason.CANNOT_START: Event.BLOCKED,
    Reason.NO_LONGER_USED: Event.UNUSED,
    Reason.RETIRING: Event.RETIRING,
    Reason.CREDENTIAL_ENDED: Event.CREDENTIAL_ENDED,
    Reason.WISH_REFUSED: Event.WISH_REFUSED,
    Reason.WISHED: Event.WISH_DONE,
}


class Journal:
    """Writes the log lines of actions.

    Args:
        log: A structlog logger.
        instance: Name of the bridge's instance.
    """

    def __init__(self, log: Any, instance: str) -> None:
        self._log = log
        self._instance = instance
        self._view: SwarmView | None = None

    def follow(self, view: SwarmView) -> None:
        """Take the swarm as it was when the actions that follow were decided on."""
        self._view = view

    def tell(self, outcome: Outcome) -> None:
        """Log how an action ended; debug level for a mark that only the bridge itself reads."""
        action = outcome.action
        for fact in facts_of(action, self._instance, self._view):
            self._tell(outcome, self._log.bind(reason=str(action.reason), **fact.fields))

    @staticmethod
    def _tell(outcome: Outcome, log: Any) -> None:
        action, message = outcome.action, outcome.message
        match outcome.result:
            case Result.DONE:
                event = Event.ALREADY_MIRRORED if message else event_of(action)
                quiet = log.debug if event == Event.NOTED else log.info
                alarming = event in _WARNINGS or action.reason in _ALARMS
                (log.warning if alarming else quiet)(event, message=message or action.why)
            case Result.MOVED | Result.UNKNOWN:
                log.info(Event.LOOKING_AGAIN, wanted=action.summary, message=message)
            case Result.REFUSED:
                refusal = outcome.verdict.reason if outcome.verdict else action.reason
                log.warning(
                    Event.REFUSED, wanted=action.summary, message=message, reason=str(refusal)
                )
            case Result.FAILED:
                log.warning(Event.FAILED, wanted=action.summary, message=message)


def event_of(action: Action) -> Event:
    """Return the event of an action that was done."""
    match action:
        case CreateSecret():
            return Event.MIRRORED
        case MintGeneration():
            return Event.MINTED
        case TendGeneration():
            return _TENDED[action.step]
        case RollService():
            back = action.reason == Reason.GOING_BACK
            return Event.ROLLING_BACK if back else Event.ROLLING
        case WakeUpdater():
            return Event.UPDATER_WOKEN
        case RemoveSecret():
            return Event.PRUNED
        case Annotate() if action.reason == Reason.CONVERGED:
            return Event.GOOD if GOOD in action.put else Event.CONVERGED
        case Annotate() | NoteState():
            return _NOTES.get(action.reason, Event.NOTED)
