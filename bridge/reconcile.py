"""One cycle: lead, look, decide, apply, remember. Nothing waits inside of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Any

from bridge.apply import Applier
from bridge.cadence import SECOND_LOOK
from bridge.clock import Clock
from bridge.config import Configuration
from bridge.decide.ahead import foresee
from bridge.decide.cycle import decide
from bridge.decide.only_planned import as_reviewed, only_planned
from bridge.decide.remember import remember
from bridge.errors import SwarmError
from bridge.evidence.acts import Author
from bridge.evidence.auditor import Auditor
from bridge.model.actions import RollService
from bridge.model.changes import Forecast
from bridge.model.events import Event
from bridge.model.memory import Memory, Outcome, Result
from bridge.model.plan import Plan
from bridge.model.plan_file import PlanFile
from bridge.model.reasons import State
from bridge.model.renewals import is_written
from bridge.model.source import Source
from bridge.model.vault_view import VaultView
from bridge.model.world import World
from bridge.processes import this_host
from bridge.report.journal import Journal
from bridge.report.news import News
from bridge.servers.state_config import write_refusals, write_state
from bridge.stand_by import StandBy
from bridge.swarm_cache import SwarmCache
from bridge.watch import Watch
from bridge.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Step:
    """What one cycle saw, wanted and did.

    Attributes:
        leader: Host of the bridge that acts where it is another one, whose work was only watched.
    """

    world: World
    plan: Plan
    outcomes: tuple[Outcome, ...]
    leader: str = ""

    @property
    def acted(self) -> bool:
        """Whether something was done, so that the plan is no longer up to date."""
        return any(outcome.result == Result.DONE for outcome in self.outcomes)


class Reconciler:
    """Runs cycles, and remembers from one to the next what helps to decide.

    Args:
        clock: Seconds since the epoch, and when somebody has set the wall clock.
        log: A structlog logger.
    """

    def __init__(
        self, configuration: Configuration, wiring: Wiring, clock: Clock, log: Any
    ) -> None:
        self._desired = configuration.desired
        self._wiring = wiring
        self._clock = clock
        self._log = log
        self._news = News(log)
        self._journal = Journal(log, self._desired.instance)
        audit = configuration.settings.audit
        self._auditor = Auditor(
            audit,
            Author(self._desired.instance, this_host()),
            write_head=self._write_head,
            signer=wiring.vault.transit if audit and audit.transit else None,
            log=log,
            clock=clock,
        )
        self._watch = Watch(configuration, wiring, clock)
        self._stand_by = StandBy(wiring.vault, wiring.swarm)
        self._memory = Memory()
        self._reviewed: PlanFile | None = None
        self._begun: set[str] = set()
        self._applier = Applier(
            wiring.vault,
            wiring.swarm,
            instance=self._desired.instance,
            look=self._watch.swarm.look_at_all,
            fence=wiring.lead.fence,
            whole=wiring.cancellation.whole,
            tell=self._tell,
        )

    @property
    def follower(self) -> SwarmCache:
        """Who is to be told of the swarm's events, so that less of it is looked at."""
        return self._watch.swarm.cache

    @property
    def vault_due(self) -> float:
        """When Vault is to be asked in a cycle again, seconds since the epoch."""
        return self._watch.due

    def watching(self, ring: Callable[[], object]) -> AbstractContextManager[None]:
        """Watch Vault beside the cycles until the block ends.

        Args:
            ring: Wakes the loop where there is something new.
        """
        return self._watch.watching(ring)

    def told(self, patience: float, again: Collection[Source] = ()) -> VaultView | None:
        """Return what is known of Vault, for a command beside this bridge; safe in any thread.

        None while Vault is left alone.

        Args:
            patience: Seconds for which answers are waited for at most.
            again: What is asked for anew, even where everything takes longer than that.
        """
        return self._watch.told(patience, again)

    def stand_by(self) -> str:
        """Ask Vault about nothing until the next cycle: another bridge leads.

        Returns:
            Why this bridge is unfit to follow it, and a restart helps; empty where it is not.
        """
        self._watch.pause()
        return self._stand_by.look()

    def lead(self) -> bool:
        """Take or keep the leader's lease, if it can be had; returns whether this bridge leads.

        What was known before is forgotten when a lead begins: somebody else may have acted since.

        Raises:
            SwarmError: The swarm gives no usable answer.
        """
        self._wiring.lease.watch_period = self._watch.period
        leads = self._wiring.lead.take()
        if self._wiring.lead.begun:
            self._memory = Memory()
            self._watch.forget()
            self._auditor.forget()
        return leads

    def plan(self, pause: Callable[[float], object]) -> tuple[World, Plan]:
        """Look, and return what a cycle would do; nothing is changed.

        Args:
            pause: Waits so many seconds, before a second look where something seems to be gone.
        """
        self._follow_the_clock()
        world = self._watch.look(vault=True)
        planned = decide(self._desired, world, self._memory, self._clock())
        if planned.doubtful:
            self._remember(world, ())
            pause(SECOND_LOOK)
            world = self._watch.look(vault=True)
            planned = decide(self._desired, world, self._memory, self._clock())
        return world, planned

    def foresee(self, world: World, plan: Plan) -> Forecast:
        """Return what a plan comes to, also after the next cycle."""
        return foresee(self._desired, world, plan, self._memory, self._clock())

    def keep_to(self, reviewed: PlanFile) -> None:
        """From now on, change nothing but what is in a plan that was reviewed."""
        self._reviewed, self._begun = reviewed, set()

    def step(self, *, vault: bool = False) -> Step:
        """Run one cycle; where another bridge leads, only watch.

        Args:
            vault: Look at Vault even if its time has not come.

        Raises:
            SwarmError: The swarm gives no usable answer.
        """
        leads = self.lead()
        self._follow_the_clock()
        world = self._watch.look(vault=vault)
        plan = decide(self._desired, world, self._memory, self._clock())
        if leads and not self._watch.swarm.is_whole and is_written(plan):
            # What is done rests on a look at the whole swarm.
            world = replace(world, swarm=self._watch.swarm.look_at_all())
            plan = decide(self._desired, world, self._memory, self._clock())
        if self._reviewed:
            plan = self._only_reviewed(plan, world, self._reviewed)
        if plan.doubtful:
            self._watch.look_soon(plan.doubtful, SECOND_LOOK)
        self._watch.prefer(c.name for c in plan.conditions if c.state == State.ROLLING)
        if leads:
            self._report_troubles(plan, world)
            plan = self._auditor.begin(world, plan)
        self._news.tell(plan)
        outcomes: tuple[Outcome, ...] = ()
        try:
            if leads:
                self._journal.follow(world.swarm)
                outcomes = self._applier.apply(plan, self._must_not_act)
                self._watch.forget_what_changed(outcomes)
        finally:
            self._remember(world, outcomes)
            if leads:
                self._auditor.end()
        self._begun |= {
            outcome.action.service_id
            for outcome in outcomes
            if isinstance(outcome.action, RollService)
            and outcome.result in (Result.DONE, Result.UNKNOWN)
        }
        return Step(world, plan, outcomes, "" if leads else self._wiring.lead.leader)

    def _write_head(self, put: dict[str, str]) -> None:
        """Write the head of the evidence's chain, also where a stop was asked for in the cycle.

        Else the next bridge would not know of the last records.
        """
        with self._wiring.cancellation.grace():
            write_state(self._wiring.swarm, self._desired.instance, put, {})

    def _must_not_act(self) -> bool:
        return self._auditor.stops or self._wiring.must_not_act()

    def _tell(self, outcome: Outcome) -> None:
        self._journal.tell(outcome)
        self._auditor.tell(outcome)

    def _only_reviewed(self, plan: Plan, world: World, reviewed: PlanFile) -> Plan:
        """Return what of a plan was reviewed."""
        shown = as_reviewed(world, plan, reviewed)
        if shown is not world:
            plan = decide(self._desired, shown, self._memory, self._clock())
        return only_planned(plan, world.swarm, reviewed, self._begun)

    def _remember(self, world: World, outcomes: tuple[Outcome, ...]) -> None:
        self._memory = remember(self._desired, self._memory, world, outcomes, self._clock())

    def _report_troubles(self, plan: Plan, world: World) -> None:
        """Write what is in trouble into the swarm, for the commands of operators to show.

        A failure of that write holds nothing up: the next cycle writes it again.
        """
        if self._wiring.must_not_act():
            return
        known, instance = world.swarm.refusals, self._desired.instance
        with suppress(SwarmError):
            self._wiring.lease.report(plan.seen)
            if world.swarm.has_state:
                write_refusals(self._wiring.swarm, instance, known, plan.refusals)

    def _follow_the_clock(self) -> None:
        """Follow a wall clock that was set: all that is remembered moves with it."""
        by = self._clock.follow()
        if not by:
            return
        self._log.warning(Event.CLOCK_SET, seconds=round(by, 1))
        self._memory = self._memory.moved(by)
        self._watch.move(by)
