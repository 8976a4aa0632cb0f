"""The log of what was done: one line for each action that was carried out, refused or has failed.

Events and keys are what people search and alert for; they are part of the contract with users.
"""

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
from bridge.model.labels import GOOD
from bridge.model.memory import Outcome, Result
from bridge.model.reasons import Reason

_ALARMS = frozenset((Reason.LEASE_VANISHED, Reason.FORCED_BY_EXPIRY))
_WARNINGS = frozenset(("going back", "woken", "set aside", "wish refused"))

_TENDED = {
    Tend.MAKE_PERMANENT: "custody made permanent",
    Tend.RENEW_CUSTODY: "custody renewed",
    Tend.RENEW_LEASE: "lease renewed",
    Tend.RETIRE: "retiring",
    Tend.SHORTEN: "lease shortened",
    Tend.REVOKE: "lease revoked",
    Tend.RELEASE: "custody revoked",
    Tend.ROTATE: "static role rotated",
}

_NOTES = {
    Reason.ROLL_FAILED: "set aside",
    Reason.SET_ASIDE: "set aside",
    Reason.SERVICE_UNHEALTHY: "set aside",
    Reason.CANNOT_BE_SCHEDULED: "blocked",
    Reason.IMAGE_MISSING: "blocked",
    Reason.CANNOT_START: "blocked",
    Reason.NO_LONGER_USED: "no longer used",
    Reason.RETIRING: "retiring",
    Reason.CREDENTIAL_ENDED: "credential ended",
    Reason.WISH_REFUSED: "wish refused",
    Reason.WISHED: "wish carried out",
}


class Journal:
    """Writes the log lines of actions.

    Args:
        log: A structlog logger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log

    def tell(self, outcome: Outcome) -> None:
        """Log how an action ended; debug level for a mark that only the bridge itself reads."""
        action = outcome.action
        fields = {"reason": str(action.reason), "why": action.why, **_fields(action)}
        log = self._log.bind(**fields)
        match outcome.result:
            case Result.DONE:
                event = _event(action) if not outcome.message else "mirrored already"
                quiet = log.debug if event == "noted" else log.info
                alarming = event in _WARNINGS or action.reason in _ALARMS
                (log.warning if alarming else quiet)(event)
            case Result.MOVED | Result.UNKNOWN:
                log.info("looking again", wanted=action.summary, because=outcome.message)
            case Result.REFUSED:
                refusal = outcome.verdict.reason if outcome.verdict else action.reason
                log.warning("refused", because=outcome.message, reason=str(refusal))
            case Result.FAILED:
                log.warning(
                    "failed, will be tried again", wanted=action.summary, because=outcome.message
                )


def _event(action: Action) -> str:
    """Name what was done, for the log."""
    match action:
        case CreateSecret():
            return "mirrored"
        case MintGeneration():
            return "minted"
        case TendGeneration():
            return _TENDED[action.step]
        case RollService():
            return "going back" if action.reason == Reason.GOING_BACK else "rolling"
        case WakeUpdater():
            return "woken"
        case RemoveSecret():
            return "pruned"
        case Annotate() if action.reason == Reason.CONVERGED:
            return "good" if GOOD in action.put else "converged"
        case Annotate() | NoteState():
            return _NOTES.get(action.reason, "noted")


def _fields(action: Action) -> dict[str, object]:
    match action:
        case CreateSecret():
            return {
                "secret": action.secret,
                "version": action.identity.version,
                "docker_secret": action.docker_name,
            }
        case RollService():
            return {
                "service": action.service_name,
                "secret": ",".join(swap.secret for swap in action.swaps),
                "from_version": ",".join(swap.from_name or "-" for swap in action.swaps),
                "to_version": ",".join(swap.to_name for swap in action.swaps),
            }
        case MintGeneration():
            return {
                "secret": action.secret,
                "version": action.version,
                "docker_secret": action.docker_name,
            }
        case WakeUpdater():
            return {"service": action.service_name}
        case TendGeneration() | Annotate() | RemoveSecret():
            return {"secret": action.secret, "docker_secret": action.docker_name}
        case NoteState():
            return {"secret": action.secret}
