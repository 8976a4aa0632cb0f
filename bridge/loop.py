"""Runs cycles: for ever, or until nothing is left to do. Between two of them it waits.

Events of the swarm end a wait, and so does whoever asks it to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from math import inf

from bridge.bell import Bell
from bridge.cadence import EventPace, pause_after_cycle, pause_after_trouble
from bridge.clock import Clock
from bridge.config import Configuration
from bridge.errors import BridgeError, Cancelled, Exit, PlanDiffers, VaultError
from bridge.listen import Event, Listener, is_heartbeat
from bridge.logs import identify, logger
from bridge.model.cycle_report import CycleReport
from bridge.model.leadership import TTL
from bridge.model.plan import Plan
from bridge.model.plan_file import PlanFile
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import VaultView
from bridge.model.vitals import words_of_vault
from bridge.model.wishes import FIELDS, FieldsWish
from bridge.model.world import World
from bridge.processes import this_host
from bridge.pulse import Pulse
from bridge.reconcile import Reconciler, Step
from bridge.report.lifecycle import Lifecycle
from bridge.servers.state_config import write_state
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.wiring import Wiring

CREDENTIAL_LOOK = 3600.0
"""Seconds between two requests for when our own credential ends, where somebody wants to know."""

CREDENTIAL_AGAIN = 60.0
"""The same after one that Vault gave no answer to."""


class OtherConfiguration(BridgeError):
    """Another bridge leads, and goes by another configuration than this one."""

    exit_code = Exit.HELD


class Loop:
    """The bridge at work with one configuration.

    Args:
        clock: Seconds that pass, and when somebody has set the wall clock.
        ttl: Seconds for which the leader's lease keeps other bridges away.
        vault: A session to go on with, which outlives the loop.
        swarm: A connection to use in place of one of its own.
        pulse: Where it tells that its cycles go on, for those who ask.
        publish: Gets a report of each cycle of ``run``; it returns at once and never raises.

    Attributes:
        ended: Whether somebody asked it to stop for good.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock | None = None,
        ttl: float = TTL,
        vault: Vault | None = None,
        swarm: Swarm | None = None,
        pulse: Pulse | None = None,
        publish: Callable[[CycleReport], object] | None = None,
    ) -> None:
        identify(configuration.desired.instance, this_host())
        log = logger()
        self._desired = configuration.desired
        self._docker = configuration.settings.docker
        self._clock = clock or Clock()
        self._wiring = Wiring(configuration, clock=self._clock, ttl=ttl, vault=vault, swarm=swarm)
        self._cancellation = self._wiring.cancellation
        self._reconciler = Reconciler(configuration, self._wiring, self._clock, log)
        self._lifecycle = Lifecycle(log)
        self._bell = Bell()
        self._pulse = pulse or Pulse(self._clock.boot)
        self._pulse.follow(lambda: self._wiring.work.progress)
        self._publish = publish or (lambda _: None)
        self._credential_due = 0.0 if configuration.settings.http else inf
        self._credential_ends: float | None = None
        self._event_pace = EventPace()
        self._resumed = self._clock.boot()
        self._unfit = ""
        self.ended = False

    @property
    def leads(self) -> bool:
        """Whether this bridge led when it last took the lease."""
        return self._wiring.lead.leads

    @property
    def leader(self) -> str:
        """Host of the bridge that leads, where it is another one."""
        return self._wiring.lead.leader

    def close(self) -> None:
        """Let another bridge lead, and close the connections to both servers."""
        self._wiring.close()

    def stop(self) -> None:
        """Ask the loop to end for good after the action in hand; safe in a signal handler."""
        self.ended = True
        self.interrupt()

    def interrupt(self) -> None:
        """Ask the loop to end after the action in hand; safe in a signal handler."""
        self._cancellation.cancel()
        self._bell.ring()

    def credential_end(self) -> float | None:
        """Return when our own credential for Vault ends, where Vault tells and can be asked."""
        try:
            return self._wiring.vault.credential_end()
        except VaultError:
            return None

    def told(self, patience: float, again: Collection[Source] = ()) -> VaultView | None:
        """Return what is known of Vault, for a command beside this bridge; safe in any thread.

        None while Vault is left alone: another bridge leads, or the first cycle has not begun.

        Args:
            patience: Seconds for which answers are waited for at most.
            again: What is asked for anew, even where everything takes longer than that.
        """
        return self._reconciler.told(patience, again)

    # --- one cycle -------------------------------------------------------------------------------

    def plan(self) -> tuple[World, Plan]:
        """Look, and return what a cycle would do; nothing is changed."""
        return self._reconciler.plan(self._pause)

    def lead(self) -> bool:
        """Take or keep the leader's lease, if it can be had; returns whether this bridge leads.

        Raises:
            SwarmError: The swarm gives no usable answer.
        """
        return self._reconciler.lead()

    def step(self, *, vault: bool = False) -> Step:
        """Run one cycle; where another bridge leads, only watch.

        Args:
            vault: Look at Vault even if its time has not come.

        Raises:
            SwarmError: The swarm gives no usable answer.
        """
        return self._reconciler.step(vault=vault)

    def step_or_stand_by(self) -> Step | None:
        """Run one cycle; None where another bridge leads.

        Raises:
            SwarmError: The swarm gives no usable answer.
        """
        before = self.leads, self.leader
        leads = self.lead()
        if (leads, self.leader) != before:
            self._lifecycle.tell_lead(self.leader, leads=leads)
        self._unfit = "" if leads else self._reconciler.stand_by()
        return self.step() if leads else None

    def pause_after(self, step: Step | None, end: float | None = None) -> float:
        """Return the seconds until the next cycle is due.

        Args:
            step: The latest cycle; None where another bridge leads.
            end: When the cycles end, on the boot clock.
        """
        lease = self._wiring.lease.pause
        if step is None:
            return lease
        if step.acted:
            return 0.0
        return pause_after_cycle(
            step.plan,
            self._clock(),
            vault_due=self._reconciler.vault_due,
            lease=lease,
            login=self._wiring.vault.pause,
            left=None if end is None else end - self._clock.boot(),
        )

    # --- many cycles -----------------------------------------------------------------------------

    def run(self) -> None:
        """Run cycles until ``stop`` is called; trouble only makes them rarer."""
        troubles = 0
        with self.listening(), self._reconciler.watching(self._bell.ring):
            while not self._cancellation.asked:
                began = self._clock.boot()
                try:
                    step = self.step_or_stand_by()
                except Cancelled as error:
                    if not self._cancellation.asked:
                        self._lifecycle.tell_given_up(error)
                    continue
                except Exception as error:  # noqa: BLE001 - the service goes on whatever happens
                    troubles += 1
                    pause = pause_after_trouble(troubles)
                    words = self._lifecycle.tell_trouble(error)
                    self._pulse.failed(words, pause)
                    self._publish(self._report(None, began, words))
                    self._pause(pause)
                    continue
                if step is not None:
                    troubles = 0
                    self._lifecycle.tell_cycle()
                pause = self.pause_after(step)
                self._pulse.ended(pause, self.leader, step.world if step else None, self._unfit)
                self._publish(self._report(step, began))
                self._pause(pause)

    def _report(self, step: Step | None, began: float, trouble: str = "") -> CycleReport:
        """Return what is published of a cycle.

        Args:
            began: When the cycle began, on the boot clock.
        """
        took = self._clock.boot() - began
        report = CycleReport(
            at=self._clock(),
            took=took,
            leader=self.leader,
            trouble=trouble,
            holder=self._wiring.lead.holder,
        )
        if step is None:
            return report
        return replace(
            report,
            world=step.world,
            plan=step.plan,
            outcomes=step.outcomes,
            credential_ends=self._known_credential_end(step.world),
        )

    def _known_credential_end(self, world: World) -> float | None:
        """Return when our own credential ends, as Vault told within the last hour or so.

        What it told before holds while it gives no answer.
        """
        now = self._clock.boot()
        if now >= self._credential_due and not words_of_vault(world.vault):
            self._credential_due = now + CREDENTIAL_AGAIN
            with suppress(Cancelled, VaultError):
                self._credential_ends = self._wiring.vault.credential_end()
                self._credential_due = now + CREDENTIAL_LOOK
        return self._credential_ends

    def sync(
        self,
        timeout: float | None = None,
        progress: Callable[[Step], None] | None = None,
        *,
        apply_fields: bool = False,
        reviewed: PlanFile | None = None,
    ) -> tuple[Plan, bool]:
        """Run cycles until nothing is left to do.

        Args:
            reviewed: A plan that was reviewed: nothing else is changed.
            apply_fields: Ask for changed file fields at once. The bridge that leads applies them.
            timeout: Seconds after which it ends anyhow.
            progress: Called after each cycle.

        Returns:
            The last plan, and whether everything was finished.

        Raises:
            SwarmError: The swarm gives no usable answer.
            OtherConfiguration: Something is left to do, and the bridge that leads will not do it.
            PlanDiffers: What would be done now is not the plan that was reviewed.
        """
        end = self._clock.boot() + timeout if timeout is not None else None
        if reviewed:
            self._keep_to(reviewed)
        with self.listening(), self._reconciler.watching(self._bell.ring):
            step = self._whole_step(vault=True)
            if apply_fields and self._ask_for_fields(step):
                step = self._whole_step()
            while not (step.plan.finished or self._cancellation.asked):
                self._must_agree(step)
                if progress:
                    progress(step)
                if end is not None and self._clock.boot() >= end:
                    break
                self._pause(self.pause_after(step, end))
                with suppress(Cancelled):
                    step = self._whole_step()
        if progress:
            progress(step)
        return step.plan, step.plan.finished

    def _keep_to(self, reviewed: PlanFile) -> None:
        """Make sure that a plan is what would be done now, and change nothing else from now on.

        Raises ``PlanDiffers``. The lead is taken before the look: no other bridge acts in between.
        """
        if not self.lead():
            raise PlanDiffers(
                f"the bridge on {self.leader} leads, and carries out changes as it finds them",
                hint="stop it before a plan is made that this command is to carry out",
            )
        desired, forecast = self._desired, self._reconciler.foresee(*self.plan())
        at = timestamp(self._clock())
        due = PlanFile.of(desired.instance, desired.digest, at, forecast.changes)
        different = reviewed.differences(due)
        if different:
            listed = "".join(f"\n  {line}" for line in different)
            raise PlanDiffers(
                f"the plan of {reviewed.at} is not carried out, since it differs from what is due"
                f" now:{listed}\nReview a new one: `vault-bridge plan --out FILE`"
            )
        self._reconciler.keep_to(reviewed)

    def _must_agree(self, step: Step) -> None:
        """Raise ``OtherConfiguration`` where the bridge that leads will not do what we want."""
        if step.leader and not self._wiring.lease.agrees:
            raise OtherConfiguration(
                f"the bridge on {step.leader} leads, and goes by another configuration",
                hint="let it read its own again (`systemctl reload`), or stop it while this"
                " command runs",
            )

    def _ask_for_fields(self, step: Step) -> bool:
        """Ask for the file fields that differ; returns whether there are any.

        A bridge that has not read the same configuration would see no difference, and forget it.
        """
        names = {n.secret for n in step.plan.notices if n.reason == Reason.FIELDS_CHANGED}
        if not names or not step.world.swarm.has_state:
            return False
        self._must_agree(step)
        wish = FieldsWish(timestamp(self._clock())).write()
        labels = {f"{FIELDS}{name}": wish for name in names}
        write_state(self._wiring.swarm, self._desired.instance, labels, {})
        self._reconciler.follower.forget()  # the event may come later than the next cycle
        return True

    def _whole_step(self, *, vault: bool = False) -> Step:
        """Run one cycle, and another where the lease was lost in it. Raises ``Cancelled``."""
        while True:
            try:
                return self.step(vault=vault)
            except Cancelled:
                if self._cancellation.asked:
                    raise

    # --- the wait between two cycles -------------------------------------------------------------

    def _pause(self, seconds: float) -> None:
        """Wait, or less where an event or a signal comes.

        Where the next cycle is due anyhow, it sees what the events until now are about.
        """
        began = self._clock.boot()
        if seconds > 0 and self._bell.wait(seconds) and not self._cancellation.asked:
            now = self._clock.boot()
            pause = self._event_pace.pause(now, took=began - self._resumed)
            with suppress(Cancelled):
                self._cancellation.sleep(min(began + seconds - now, pause))
        self._bell.silence()
        self._resumed = self._clock.boot()

    def listening(self) -> AbstractContextManager[None]:
        """Listen to the swarm's events in the background."""
        follower = self._reconciler.follower
        listener = Listener(lambda: Swarm(self._docker), self._bell, self._matters, follower)
        return listener.listening()

    def _matters(self, event: Event) -> bool:
        """Return whether an event is worth a look: our own heartbeats are not."""
        return not (self.leads and is_heartbeat(event, self._desired.instance))
