"""The cadence: look, decide, apply, remember, and wait for the next reason to look.

Nothing waits inside a cycle. Vault is looked at every ``poll.interval``; the swarm at every cycle,
which events of the swarm bring forward, as does something that is on its way.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace

import structlog

from bridge.apply import Applier
from bridge.bell import Bell
from bridge.cancellation import Cancellation
from bridge.clock import Clock
from bridge.config import Configuration
from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.errors import BridgeError, Cancelled, Exit, SwarmError, VaultError
from bridge.leader import Lease
from bridge.leadership import Leadership
from bridge.listen import Event, Listener
from bridge.logs import where
from bridge.lookups import Lookups
from bridge.model.actions import MintGeneration, Tend, TendGeneration
from bridge.model.leadership import TTL, lease_config_name
from bridge.model.memory import Memory, Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import Unreadable, VaultView
from bridge.model.wishes import FIELDS, FieldsWish
from bridge.model.world import World
from bridge.observe import look_at_swarm, look_at_vault
from bridge.report.journal import Journal
from bridge.report.news import News
from bridge.servers.state import write_state, write_troubles
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault

JITTER = 0.1
ROLLING_LOOK = 1.0
"""Seconds between two looks at the swarm while something is on its way."""

SECOND_LOOK = 1.0
"""Seconds after which Vault is looked at again where something seems to be gone there."""

EVENT_GAP = 0.2
"""Seconds that pass at least between two cycles which events asked for: they come in swarms."""

RELEASE = 2.0
"""Seconds in which the leader's lease is released when the loop ends."""

LONGEST_PAUSE = 60.0
"""Seconds; the longest pause after trouble, unless ``poll.interval`` is longer."""


LOOKUPS = 0.25
"""Part of the requests that ``max_rps`` allows which may be spent on asking about leases."""


class OtherConfiguration(BridgeError):
    """Another bridge leads, and goes by another configuration than this one."""

    exit_code = Exit.HELD


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


class Loop:
    """The bridge at work with one configuration.

    Args:
        clock: Seconds that pass, and when somebody has set the wall clock.
        ttl: Seconds for which the leader's lease keeps other bridges away.
        vault: A session to go on with, which outlives the loop.
        swarm: A connection to use in place of one of its own.

    Attributes:
        ended: Whether somebody asked it to stop for good.
    """

    def __init__(
        self,
        configuration: Configuration,
        clock: Clock | None = None,
        ttl: float = TTL,
        vault: Vault | None = None,
        swarm: Swarm | None = None,
    ) -> None:
        self.configuration = configuration
        self._clock = clock or Clock()
        self._log = structlog.get_logger("bridge")
        settings = configuration.settings
        self._cancellation = Cancellation()
        work = self._cancellation.also(lambda: not self._leadership.keep())
        self._vault = vault or Vault(settings.vault)
        self._vault.heed(work)
        self._owns_vault = vault is None
        self._swarm = swarm or Swarm(settings.docker, work)
        desired = configuration.desired
        # It is renewed while other requests wait for their answers, and given up when it lapses.
        renewal = self._cancellation.also(lambda: self._lease.lapsed, hasty=True)
        leases = self._leases = swarm or Swarm(settings.docker, renewal)
        self._lease = Lease(leases, desired.instance, desired.digest, ttl, self._clock.boot)
        self._leadership = Leadership(self._lease, lambda: self._cancellation.asked)
        self._memory = Memory()
        self._applier = Applier(
            self._vault,
            self._swarm,
            instance=desired.instance,
            look=self._look_at_swarm,
            fence=self._leadership.fence,
            whole=self._cancellation.whole,
            tell=Journal(self._log).tell,
        )
        self._vault_view: VaultView | None = None
        budget = settings.vault.max_rps * settings.poll_interval * LOOKUPS
        self._lookups = Lookups(self._vault, desired.instance, budget)
        self._vault_due = 0.0
        self._vault_troubles = 0
        self.ended = False
        self._bell = Bell()
        self._news = News(self._log)

    @property
    def leads(self) -> bool:
        """Whether this bridge led when it last looked."""
        return self._leadership.leads

    @property
    def leader(self) -> str:
        """Host of the bridge that leads, where it is another one."""
        return self._leadership.leader

    def close(self) -> None:
        """Let another bridge lead, and close the connections to both servers.

        Where a write of ours may yet be carried out, nobody else is let lead before its time.
        """
        if not self._cancellation.unfinished:
            with suppress(Cancelled), self._cancellation.grace(RELEASE):
                self._lease.release()
        if self._owns_vault:
            self._vault.close()
        self._swarm.close()
        self._leases.close()

    def stop(self) -> None:
        """Ask the loop to end for good after the action in hand; safe in a signal handler."""
        self.ended = True
        self.interrupt()

    def interrupt(self) -> None:
        """Ask the loop to end after the action in hand; safe in a signal handler."""
        self._cancellation.cancel()
        self._bell.ring()

    def _follow_the_clock(self) -> None:
        """Follow a wall clock that was set: all that is remembered moves with it."""
        by = self._clock.follow()
        if not by:
            return
        self._log.warning("the wall clock was set", seconds=round(by, 1))
        self._memory = self._memory.moved(by)
        self._vault_view = self._vault_view and self._vault_view.moved(by)
        self._vault_due += by
        self._lookups.move(by)

    # --- one cycle -------------------------------------------------------------------------------

    def look(self, *, vault: bool = True) -> World:
        """Look at both servers; at Vault only where ``vault`` says so or its time has come.

        Raises:
            SwarmUnreachable: The swarm gives no usable answer.
        """
        now = self._clock()
        self._vault.keep()
        if vault or self._vault_view is None or now >= self._vault_due:
            desired = self.configuration.desired
            self._vault_view = look_at_vault(self._vault, desired, now, self._leadership.keep)
            self._schedule_vault(self._vault_view)
            self._lookups.age()
        swarm = self._look_at_swarm()
        self._lookups.look(swarm, self._vault_view, self._clock, self._leadership.keep)
        sooner = self._lookups.next_look(self._clock())
        if sooner is not None:
            self._vault_due = min(self._vault_due, sooner)
        return World(replace(self._vault_view, generations=self._lookups.views), swarm)

    def _look_at_swarm(self) -> SwarmView:
        instance = self.configuration.desired.instance
        return look_at_swarm(self._swarm, instance, self._clock())

    def plan(self) -> tuple[World, Plan]:
        """Look, and say what a cycle would do; nothing is changed."""
        self._follow_the_clock()
        desired = self.configuration.desired
        world = self.look()
        planned = decide(desired, world, self._memory, self._clock())
        if planned.doubtful:
            self._memory = remember(desired, self._memory, world, (), self._clock())
            self._pause(SECOND_LOOK)
            world = self.look(vault=True)
            planned = decide(desired, world, self._memory, self._clock())
        return world, planned

    def credential_end(self) -> float | None:
        """Return when our own credential for Vault ends, where Vault says it."""
        try:
            return self._vault.credential_end()
        except VaultError:
            return None

    def step(self, *, vault: bool = False) -> Step:
        """Run one cycle; where another bridge leads, only watch.

        Args:
            vault: Look at Vault even if its time has not come.

        Raises:
            SwarmError: The swarm gives no usable answer.
        """
        leads = self.lead()
        self._follow_the_clock()
        desired = self.configuration.desired
        world = self.look(vault=vault)
        world = replace(world, vault=replace(world.vault, again=self._vault_due))
        plan = decide(desired, world, self._memory, self._clock())
        if plan.doubtful:
            self._vault_due = min(self._vault_due, self._clock() + SECOND_LOOK)
        if leads:
            self._report_troubles(plan, world)
        self._news.tell(plan)
        outcomes: tuple[Outcome, ...] = ()
        try:
            if leads:
                outcomes = self._applier.apply(plan, self._must_not_act)
                self._forget_what_changed(outcomes)
        finally:
            self._memory = remember(desired, self._memory, world, outcomes, self._clock())
        return Step(world, plan, outcomes, "" if leads else self.leader)

    def _report_troubles(self, plan: Plan, world: World) -> None:
        """Let the commands of operators, which are other processes, know what is in trouble.

        Its failure holds nothing up: the next cycle writes it again.
        """
        if self._must_not_act():
            return
        known, instance = world.swarm.troubles, self.configuration.desired.instance
        with suppress(SwarmError):
            self._lease.report(plan.seen)
            if world.swarm.has_state:
                write_troubles(self._swarm, instance, known, plan.troubles)

    def _forget_what_changed(self, outcomes: Iterable[Outcome]) -> None:
        """Let the next look ask Vault again about what we have written there."""
        for outcome in outcomes:
            match outcome.action:
                case TendGeneration(step=Tend.ROTATE) | MintGeneration(rotate=True):
                    self._vault_due = 0.0  # when static roles were rotated is read with the paths
                case TendGeneration(secret_id=secret_id):
                    self._lookups.forget([secret_id])
                case _:
                    pass

    def lead(self) -> bool:
        """Take or keep the leader's lease, if it can be had; tells whether this bridge leads.

        Raises:
            SwarmError: The swarm gives no usable answer.
        """
        leads = self._leadership.take()
        if self._leadership.begun:
            self._memory, self._vault_view = Memory(), None
            self._lookups.forget()
        return leads

    def _must_not_act(self) -> bool:
        return self._cancellation.asked or not self._leadership.keep()

    def _schedule_vault(self, view: VaultView) -> None:
        """Set the time of the next look at Vault: jittered, and ever later while it is away."""
        interval = self.configuration.settings.poll_interval
        away = [s for s in view.paths.values() if isinstance(s, Unreadable) and s.away]
        whole = any(seen.everywhere for seen in away) or (away and len(away) == len(view.paths))
        self._vault_troubles = self._vault_troubles + 1 if whole else 0
        pause = min(interval * 2.0 ** min(self._vault_troubles, 10), max(interval, LONGEST_PAUSE))
        jitter = 1 + random.uniform(-JITTER, JITTER)  # noqa: S311 - no secret depends on it
        asked_for = max((seen.retry_after for seen in away), default=0.0)
        self._vault_due = self._clock() + max(pause * jitter, asked_for if whole else 0.0)

    # --- many cycles -----------------------------------------------------------------------------

    def run(self) -> None:
        """Run cycles until ``stop`` is called; trouble only makes them rarer."""
        troubles = 0
        said: type[Exception] | None = None
        with self._listening():
            while not self._cancellation.asked:
                try:
                    if not self._lead_or_stand_by():
                        self._pause(self._lease.pause)
                        continue
                    step = self.step()
                except Cancelled as error:
                    if not self._cancellation.asked:
                        self._log.warning("given up", because=str(error))
                    continue
                except Exception as error:  # noqa: BLE001 - the service goes on whatever happens
                    troubles += 1
                    kind = SwarmError if isinstance(error, SwarmError) else type(error)
                    if said != kind:
                        self._say_trouble(error)
                    said = kind
                    self._pause(min(2.0 ** min(troubles - 1, 10), LONGEST_PAUSE))
                    continue
                if troubles:
                    self._log.info("cycles go on")
                    troubles, said = 0, None
                self._pause(self._time_to_next(step))

    def sync(
        self,
        timeout: float | None = None,
        progress: Callable[[Step], None] | None = None,
        *,
        apply_fields: bool = False,
    ) -> tuple[Plan, bool]:
        """Run cycles until nothing is left to do.

        Args:
            apply_fields: Ask for changed file fields at once. The bridge that leads applies them.
            timeout: Seconds after which it ends anyhow.
            progress: Called after each cycle.

        Returns:
            The last plan, and whether everything was finished.

        Raises:
            SwarmError: The swarm gives no usable answer.
            OtherConfiguration: Something is left to do, and the bridge that leads will not do it.
        """
        end = self._clock.boot() + timeout if timeout is not None else None
        with self._listening():
            step = self._whole_step(vault=True)
            if apply_fields and self._ask_for_fields(step):
                step = self._whole_step()
            while not (step.plan.finished or self._cancellation.asked):
                self._must_agree(step)
                if progress:
                    progress(step)
                if end is not None and self._clock.boot() >= end:
                    break
                self._pause(self._time_to_next(step, end))
                with suppress(Cancelled):
                    step = self._whole_step()
        if progress:
            progress(step)
        return step.plan, step.plan.finished

    def _must_agree(self, step: Step) -> None:
        """Raise ``OtherConfiguration`` where the bridge that leads will not do what we want."""
        if step.leader and not self._lease.agrees:
            raise OtherConfiguration(
                f"the bridge on {step.leader} leads, and goes by another configuration",
                hint="let it read its own again (`systemctl reload`), or stop it while this"
                " command runs",
            )

    def _ask_for_fields(self, step: Step) -> bool:
        """Ask for the file fields that differ; tells whether there are any.

        A bridge that has not read the same configuration would see no difference, and forget it.
        """
        names = {n.secret for n in step.plan.notices if n.reason == Reason.FIELDS_CHANGED}
        if not names or not step.world.swarm.has_state:
            return False
        self._must_agree(step)
        wish = FieldsWish(timestamp(self._clock())).write()
        labels = {f"{FIELDS}{name}": wish for name in names}
        write_state(self._swarm, self.configuration.desired.instance, labels, {})
        return True

    def _whole_step(self, *, vault: bool = False) -> Step:
        """Run one cycle, and another where the lease was lost in it. Raises ``Cancelled``."""
        while True:
            try:
                return self.step(vault=vault)
            except Cancelled:
                if self._cancellation.asked:
                    raise

    def _time_to_next(self, step: Step, end: float | None = None) -> float:
        if step.acted:
            return 0.0
        now = self._clock()
        times = [self._vault_due, now + self._lease.pause]
        if self._vault.pause is not None:
            times.append(now + self._vault.pause)
        if step.plan.wake_at is not None:
            times.append(step.plan.wake_at)
        if not step.plan.finished:
            times.append(now + ROLLING_LOOK)
        if end is not None:
            times.append(now + end - self._clock.boot())
        return max(0.0, min(times) - now)

    def _pause(self, seconds: float) -> None:
        """Wait, or less where an event or a signal comes."""
        if self._bell.wait(seconds) and not self._cancellation.asked:
            with suppress(Cancelled):
                self._cancellation.sleep(min(seconds, EVENT_GAP))
        self._bell.silence()

    def _listening(self) -> AbstractContextManager[None]:
        """Listen to the swarm's events in the background."""
        settings = self.configuration.settings.docker
        return Listener(lambda: Swarm(settings), self._bell, self._matters).listening()

    def _matters(self, event: Event) -> bool:
        """Tell whether an event is worth a look: our own heartbeats are not."""
        return not (self.leads and self._is_heartbeat(event))

    def _is_heartbeat(self, event: Event) -> bool:
        attributes = (event.get("Actor") or {}).get("Attributes") or {}
        name = lease_config_name(self.configuration.desired.instance)
        return event.get("Type") == "config" and attributes.get("name") == name

    # --- the log ---------------------------------------------------------------------------------

    def _lead_or_stand_by(self) -> bool:
        """Take the lease if it can be had, and say so once per change."""
        before = self.leads, self.leader
        leads = self.lead()
        if (leads, self.leader) != before:
            if leads:
                self._log.info("this bridge leads")
            elif self.leader:
                self._log.info("stands by, another bridge leads", leader=self.leader)
        return leads

    def _say_trouble(self, error: Exception) -> None:
        if isinstance(error, SwarmError):
            self._log.warning("swarm not reachable", because=str(error))
        else:
            self._log.error("unexpected error, the next cycle begins anew", error=where(error))
