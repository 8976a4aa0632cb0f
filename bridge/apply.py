"""Carries a plan out, action by action; each one makes sure again of what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, assert_never

from bridge.clock import boot_clock
from bridge.custodian import Custodian
from bridge.errors import (
    AnswerLost,
    BridgeError,
    Cancelled,
    ContentRefused,
    LoginRefused,
    NameTaken,
    NotFound,
    NotGranted,
    OutOfSequence,
    SwarmRefused,
    SwarmUnreachable,
    VaultRefused,
    VaultUnreachable,
)
from bridge.logs import where
from bridge.model.actions import (
    Action,
    Annotate,
    Chain,
    CreateSecret,
    MintGeneration,
    NoteState,
    RemoveSecret,
    RollService,
    TendGeneration,
    WakeUpdater,
)
from bridge.model.content.payload import Concealed, render
from bridge.model.fingerprint import fingerprint
from bridge.model.labels import REMADE, SHAPE, WOKEN, origin_of
from bridge.model.leased import held_by
from bridge.model.memory import Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.spec import swapped
from bridge.model.swarm_view import SwarmView
from bridge.model.verdicts import Verdict
from bridge.removal import Remover
from bridge.servers.label_writes import write_labels
from bridge.servers.state_config import write_state
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.sources.kinds import kind_of

_TRIES = 3

_TOGETHER = 2
"""Records from which one write has them all."""

LONGEST = 10.0
"""Seconds after which an application begins nothing more."""

MOST_REMOVALS = 100
"""Docker secrets that one application removes."""


class Applier:
    """Carries plans out.

    Args:
        look: Looks at the swarm anew, for what must be seen immediately before it is done.
        fence: Renews the leader's lease; returns whether that was acknowledged.
        whole: Lets a block end that was begun, for a while, although the bridge is to stop.
        tell: Called with each outcome as soon as it is known, before the next action is begun.
        clock: Seconds that pass.
    """

    def __init__(
        self,
        vault: Vault,
        swarm: Swarm,
        *,
        instance: str,
        look: Callable[[], SwarmView],
        fence: Callable[[], bool],
        whole: Callable[[], AbstractContextManager[None]] = nullcontext,
        tell: Callable[[Outcome], object] = lambda _: None,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._vault = vault
        self._swarm = swarm
        self._instance = instance
        self._look = look
        self._tell = tell
        self._clock = clock
        self._together: dict[str, tuple[Annotate, ...]] = {}
        self._written: set[int] = set()
        self._remover = Remover(swarm, instance=instance, look=look, clock=clock)
        self._custodian = Custodian(
            vault, swarm, instance=instance, look=look, fence=fence, whole=whole
        )

    def apply(self, plan: Plan, stopping: Callable[[], bool]) -> tuple[Outcome, ...]:
        """Carry out each chain until one of its actions fails; stop after the action in hand.

        When the swarm goes away, what was not begun is left alone. So is what would take too long:
        leases are to be renewed, and the next cycle, which comes at once, begins with those.
        """
        outcomes: list[Outcome] = []
        end, removals = self._clock() + LONGEST, 0
        self._remover.end_batch()
        self._together, self._written = _records_by_secret(plan.chains), set()
        for chain in plan.chains:
            if self._clock() >= end:
                break
            removals += isinstance(chain[0], RemoveSecret)
            if isinstance(chain[0], RemoveSecret) and removals > MOST_REMOVALS:
                continue
            for action in chain:
                if stopping():
                    return tuple(outcomes)
                try:
                    outcome = self._one(action)
                except (SwarmUnreachable, Cancelled):
                    return tuple(outcomes)  # the next look says so, if there is one
                outcomes.append(outcome)
                self._tell(outcome)
                if outcome.result != Result.DONE:
                    break
        return tuple(outcomes)

    def _one(self, action: Action) -> Outcome:
        try:
            return self._do(action)
        except (OutOfSequence, NotFound) as error:
            return Outcome(action, Result.MOVED, str(error))
        except AnswerLost as error:
            return Outcome(action, Result.UNKNOWN, str(error))
        except (SwarmUnreachable, Cancelled):
            raise
        except BridgeError as error:
            return Outcome(action, Result.FAILED, str(error), reason=_reason(error))
        except Exception as error:  # noqa: BLE001 - one action must not end the others (I8)
            message = f"unexpected {where(error)}"
            return Outcome(action, Result.FAILED, message)

    def _do(self, action: Action) -> Outcome:
        if not isinstance(action, RemoveSecret):
            self._remover.end_batch()
        match action:
            case CreateSecret():
                return self._create(action)
            case MintGeneration():
                return self._custodian.mint(action)
            case TendGeneration():
                return self._custodian.tend(action)
            case Annotate():
                return self._annotate(action)
            case RollService():
                return self._roll(action)
            case WakeUpdater():
                return self._wake(action)
            case RemoveSecret():
                return self._remover.remove(action)
            case NoteState():
                return self._note(action)
            case _:
                assert_never(action)

    # --- actions ---------------------------------------------------------------------------------

    def _create(self, action: CreateSecret) -> Outcome:
        identity = action.identity
        try:
            found = kind_of(identity.source).read_version(self._vault, identity)
            if found is None:
                message = f"{identity.source} was written anew in the meantime"
                return Outcome(action, Result.MOVED, message)
            fields, held = held_by(found, action.content.lease)
            data = render(fields, action.content)
        except ContentRefused as error:
            return self._refused(action, Reason(error.reason), error.message)
        except VaultRefused as error:
            if error.reason == Reason.VERSION_DELETED:
                return Outcome(action, Result.MOVED, str(error))
            raise
        if action.former and self._swarm.holds(*action.former, data):
            write_labels(self._swarm, action.former[0], {SHAPE: action.labels[SHAPE]})
            return Outcome(action, Result.DONE, f"{action.former[1]} holds the same bytes")
        try:
            driver = action.content.template_driver
            self._swarm.create_secret(action.docker_name, data, {**action.labels, **held}, driver)
        except NameTaken:
            return self._compared(action, data)
        except NotGranted:
            raise
        except SwarmRefused as error:
            return self._refused(action, Reason.SWARM_REFUSED, error.message)
        return Outcome(action, Result.DONE)

    def _compared(self, action: CreateSecret, data: Concealed) -> Outcome:
        """Return whether the Docker secret that has the name is the one that was to be made."""
        found = [s for s in self._swarm.secrets() if _same_name(s, action.docker_name)]
        labels = (found[0]["Spec"].get("Labels") or {}) if found else {}
        ours = origin_of(labels) == origin_of(action.labels)
        if not found or not ours or labels.get(REMADE) != action.labels.get(REMADE):
            # The next look sees who has the name.
            return Outcome(action, Result.MOVED, f"the name {action.docker_name} is taken")
        if not self._swarm.holds(found[0]["ID"], action.docker_name, data):
            message = f"{action.docker_name} exists with this version's labels and other content"
            return self._refused(action, Reason.CONTENT_DIFFERS, message)
        return Outcome(action, Result.DONE)

    def _refused(self, action: CreateSecret, reason: Reason, message: str) -> Outcome:
        verdict = Verdict(action.identity, action.content.shape, reason, message)
        return Outcome(action, Result.REFUSED, message, verdict)

    def _annotate(self, action: Annotate) -> Outcome:
        if action.gone and action.gone & {raw["ID"] for raw in self._swarm.services()}:
            return Outcome(action, Result.MOVED, "a service is there again that was missing")
        if id(action) not in self._written and not self._recorded_together(action):
            write_labels(self._swarm, action.secret_id, action.put, action.drop)
        return Outcome(action, Result.DONE)

    def _recorded_together(self, action: Annotate) -> bool:
        """Write all records of rolls to a Docker secret with the first of them.

        A record whose update is not sent then is as after a crash: the next cycle sends it, or
        drops the record. Where they are refused together each is written by itself (I8).
        """
        records = self._together.pop(action.secret_id, ())
        if len(records) < _TOGETHER or not any(record is action for record in records):
            return False
        put = {label: text for record in records for label, text in record.put.items()}
        try:
            write_labels(self._swarm, action.secret_id, put)
        except SwarmRefused:
            return False
        self._written.update(map(id, records))
        return True

    def _roll(self, action: RollService) -> Outcome:
        return self._write_service(action, lambda spec: swapped(spec, action.swaps))

    def _wake(self, action: WakeUpdater) -> Outcome:
        def change(spec: dict[str, Any]) -> dict[str, Any]:
            return {**spec, "Labels": {**(spec.get("Labels") or {}), WOKEN: action.token}}

        return self._write_service(action, change)

    def _write_service(
        self,
        action: RollService | WakeUpdater,
        change: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> Outcome:
        """Write the service by compare-and-set; others may write its labels and its scale."""
        for attempt in range(_TRIES):
            raw = self._swarm.service(action.service_id)
            if fingerprint(raw["Spec"]) != action.template:
                return Outcome(action, Result.MOVED, "the service was changed in the meantime")
            spec = change(raw["Spec"])
            if spec == raw["Spec"]:
                return Outcome(action, Result.MOVED, "the service is there already")
            try:
                self._swarm.update_service(action.service_id, raw["Version"]["Index"], spec)
                break
            except OutOfSequence:
                if attempt == _TRIES - 1:
                    raise
        return Outcome(action, Result.DONE)

    def _note(self, action: NoteState) -> Outcome:
        if not write_state(self._swarm, self._instance, action.put, action.drop):
            return Outcome(action, Result.MOVED, "the state config is another than was seen")
        return Outcome(action, Result.DONE)


def _records_by_secret(chains: Iterable[Chain]) -> dict[str, tuple[Annotate, ...]]:
    """Return what is noted before services are rolled, by the id of the Docker secret."""
    found: dict[str, tuple[Annotate, ...]] = {}
    for *before, last in chains:
        if isinstance(last, RollService):
            for note in before:
                if isinstance(note, Annotate) and not (note.drop or note.gone):
                    found[note.secret_id] = (*found.get(note.secret_id, ()), note)
    return found


def _reason(error: BridgeError) -> Reason:
    match error:
        case VaultRefused():
            return Reason(error.reason)
        case VaultUnreachable():
            return Reason.VAULT_UNREACHABLE
        case LoginRefused():
            return Reason.LOGIN_REFUSED
        case SwarmRefused():
            return Reason.SWARM_REFUSED
        case _:
            return Reason.TRYING_AGAIN


def _same_name(raw: dict[str, object], name: str) -> bool:
    spec = raw.get("Spec")
    return isinstance(spec, dict) and str(spec.get("Name")).lower() == name.lower()
