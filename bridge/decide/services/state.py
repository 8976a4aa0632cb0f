"""How one service is doing in this cycle: what was seen of it, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bridge.decide.decision import Decision, one_by_one
from bridge.decide.services.wants import Want
from bridge.model.actions import Annotate, WakeUpdater
from bridge.model.conditions import Hold, ServiceCondition
from bridge.model.reasons import Reason, State
from bridge.model.service import Service


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceState:
    """One service, as far as the cycle has judged it. Each step returns a state that knows more.

    Attributes:
        wants: What it should have, by secret's name.
        in_flight: Whether a roll of ours is under way and has not converged (I7).
        has_open_roll: Whether a roll of ours is under way, converged or not.
        updating: Whether the engine is at an update of it, ours or not, that should end by itself.
        unhealthy: Whether it has less than its full number of tasks, though nobody rolls it.
        not_starting: Whether it has less than its full number of tasks with what it refers to,
            since those that are missing do not start.
        went_back: Names of the secrets whose roll was seen in this cycle to have gone back.
        baked_at: When its tasks will have baked as they are; None while they have not converged.
        ready: Wants that nothing holds up but the turn.
        wake_updater: The write that wakes its updater, which hangs on a node that is down.
        notes: Labels to be written about it.
        conditions: What is reported of it, by secret's name.
    """

    service: Service
    wants: Mapping[str, Want]
    in_flight: bool = False
    has_open_roll: bool = False
    updating: bool = False
    unhealthy: bool = False
    not_starting: bool = False
    went_back: frozenset[str] = frozenset()
    baked_at: float | None = None
    ready: tuple[Want, ...] = ()
    wake_updater: WakeUpdater | None = None
    notes: tuple[Annotate, ...] = ()
    holds: tuple[Hold, ...] = ()
    notices: tuple[Hold, ...] = ()
    wake: tuple[float, ...] = ()
    conditions: Mapping[str, ServiceCondition] = field(default_factory=dict)

    @property
    def moving(self) -> bool:
        """Whether something is on its way: tasks are being replaced, or bake."""
        baking = self.has_open_roll and self.baked_at is not None
        return self.in_flight or self.updating or baking

    @property
    def failing(self) -> frozenset[str]:
        """Ids of the versions whose roll was found in this cycle to have failed."""
        return frozenset(n.secret_id for n in self.notes if n.reason == Reason.ROLL_FAILED)

    @property
    def decision(self) -> Decision:
        """What is concluded about the service, besides its roll."""
        return Decision(
            chains=one_by_one(*self.notes, self.wake_updater),
            holds=self.holds,
            notices=self.notices,
            wake=self.wake,
        )

    def reported(self, want: Want, state: State, reason: Reason, message: str = "") -> ServiceState:
        """Return the state with the condition of one secret set; the latest one counts."""
        condition = service_condition(self.service, want, state, reason, message)
        return replace(self, conditions={**self.conditions, want.name: condition})

    def held(self, *holds: Hold) -> ServiceState:
        """Return the state with holds on single secrets, which their conditions report."""
        if not holds:
            return self
        conditions = dict(self.conditions)
        for hold in holds:
            state, want = State.ROLLING if hold.waits else State.HELD, self.wants[hold.secret]
            condition = service_condition(self.service, want, state, hold.reason, hold.message)
            conditions[hold.secret] = condition
        until = [hold.until for hold in holds if hold.until is not None]
        return replace(
            self,
            holds=(*self.holds, *holds),
            wake=(*self.wake, *until),
            conditions=conditions,
        )

    def noted(self, *notes: Annotate) -> ServiceState:
        """Return the state with labels that are to be written."""
        return replace(self, notes=(*self.notes, *notes))

    def noticed(self, want: Want, reason: Reason, message: str) -> ServiceState:
        """Return the state with something that may be good to know."""
        notice = notice_of(self.service, want, reason, message)
        return replace(self, notices=(*self.notices, notice))

    def forced(self, want: Want, despite: str) -> ServiceState:
        """Return the state with the notice that an expiry overrides what would hold a roll."""
        message = f"{want.urgent}, so it is rolled though {despite}"
        return self.noticed(want, Reason.FORCED_BY_EXPIRY, message)

    def waking(self, *at: float) -> ServiceState:
        """Return the state with times at which it may change by itself."""
        return replace(self, wake=(*self.wake, *at))

    def moved_back(self, names: Iterable[str]) -> ServiceState:
        """Return the state with the names of secrets whose roll has gone back."""
        return replace(self, went_back=self.went_back | frozenset(names))


def service_condition(
    service: Service, want: Want, state: State, reason: Reason, message: str = ""
) -> ServiceCondition:
    """Return what is reported of a service with regard to one secret."""
    version = want.held.identity.version if want.held else None
    return ServiceCondition(
        name=service.name, version=version, state=state, reason=reason, message=message
    )


def notice_of(service: Service, want: Want, reason: Reason, message: str) -> Hold:
    """Return something about a service and one secret that may be good to know."""
    return Hold(secret=want.name, reason=reason, message=message, service=service.name)
