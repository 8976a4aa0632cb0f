"""How one service stands: what is seen of it in a cycle, what it wants, what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.decide.services.wants import Want
from bridge.model.actions import Annotate, WakeUpdater
from bridge.model.conditions import Hold, ServiceCondition
from bridge.model.reasons import Reason, State
from bridge.model.service import Service


@dataclass(slots=True, kw_only=True)
class Stand:
    """How one service stands; filled by ``stand_of`` and read by the cycle.

    Attributes:
        wants: What it should have, by secret's name.
        flying: Whether a roll of ours is under way and has not converged (I7).
        under_way: Whether a roll of ours is under way, converged or not.
        updating: Whether the engine is at an update of it, ours or not, that should end by itself.
        ill: Whether it has less than its full number of tasks, though nobody rolls it.
        lacks: Whether it has less than its full number of tasks with what it refers to, since those
            that are missing do not start.
        went_back: Names of the secrets whose roll was seen just now to have gone back.
        baked: When its tasks will have baked as they are; None while they have not converged.
        ready: Wants that nothing holds up but the turn.
        hung: The write that wakes its updater, which hangs on a dead node.
        notes: Labels to be written about it.
        notices: What may be good to know about it.
        wake: Times at which its stand may change by itself.
    """

    service: Service
    wants: Mapping[str, Want]
    flying: bool = False
    under_way: bool = False
    updating: bool = False
    ill: bool = False
    lacks: bool = False
    went_back: frozenset[str] = frozenset()
    baked: float | None = None
    ready: tuple[Want, ...] = ()
    hung: WakeUpdater | None = None
    notes: list[Annotate] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    notices: list[Hold] = field(default_factory=list)
    conditions: dict[str, ServiceCondition] = field(default_factory=dict)
    wake: list[float] = field(default_factory=list)

    @property
    def moving(self) -> bool:
        """Whether something is on its way: tasks are being replaced, or bake."""
        return self.flying or self.updating or (self.under_way and self.baked is not None)

    @property
    def failing(self) -> frozenset[str]:
        """Ids of the versions on which it was seen just now to have failed."""
        return frozenset(n.secret_id for n in self.notes if n.reason == Reason.ROLL_FAILED)

    def say(self, want: Want, state: State, reason: Reason, message: str = "") -> None:
        """Set the condition for one secret."""
        held = want.held
        version = held.identity.version if held else None
        self.conditions[want.name] = ServiceCondition(
            self.service.name, version, state, reason, message
        )

    def force(self, want: Want, despite: str) -> None:
        """Say that something is rolled though it would be held, since its end does not wait."""
        message = f"{want.urgent}, so it is rolled though {despite}"
        notice = Hold(
            secret=want.name,
            reason=Reason.FORCED_BY_EXPIRY,
            message=message,
            service=self.service.name,
        )
        self.notices.append(notice)

    def hold(self, hold: Hold) -> None:
        """Set the condition for one secret to held, and say why."""
        self.holds.append(hold)
        state = State.ROLLING if hold.waits else State.HELD
        self.say(self.wants[hold.secret], state, hold.reason, hold.message)
        if hold.until is not None:
            self.wake.append(hold.until)
