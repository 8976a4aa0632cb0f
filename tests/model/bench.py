"""A bridge and its servers in memory: a cycle, and all that may go wrong in the middle of one."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from bridge import logs
from bridge.apply import Applier
from bridge.clock import Clock as TwoClocks
from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.errors import SwarmUnreachable
from bridge.model.desired import Desired
from bridge.model.labels import labels_by_service
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.renewals import is_written
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import NOT_YET
from bridge.model.world import World
from bridge.observe_swarm import look_at_swarm
from bridge.observe_vault import look_at_generation, look_at_vault
from bridge.report.journal import Journal
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.sources.units import Units
from bridge.watch_swarm import SwarmWatch
from tests.support.fakes import Clock, Crash, FakeSwarm, FakeVault

LATE_ANSWERS = st.lists(st.sampled_from(["new", "former", "none"]), min_size=1, max_size=6)

Refusal = Callable[[str, bool], None]

LONGEST_PAUSE = 5
"""Seconds between two cycles, at most: Vault has no events."""


class Bench(RuleBasedStateMachine):
    """One bridge with what it remembers.

    Attributes:
        former: The world that the latest cycle saw.
        fence: What the bridge finds when it makes sure that it leads.
        said: All that was logged.
    """

    desired: Desired

    def __init__(self) -> None:
        super().__init__()
        self.said = io.StringIO()
        logs.configure(self.said)
        self.clock = Clock()
        self.vault = FakeVault(self.clock)
        self.swarm = FakeSwarm(self.clock, nodes=3)
        self.watch = SwarmWatch(
            cast("Swarm", self.swarm), "default", TwoClocks(self.clock, self.clock)
        )
        self.watch.cache.opened()
        self.memory = Memory()
        self.former: World | None = None
        self.plan: Plan | None = None
        self.fence = True
        self._seen: tuple[bytes, SwarmView] | None = None
        self._left: bytes = b""
        self._latest = 0.0

    def look(self) -> SwarmView:
        """Look at the swarm; what is seen of what has not changed since is the same."""
        contents, now = self.swarm.contents(), self.clock()
        if self._seen is None or self._seen[0] != contents:
            view = look_at_swarm(cast("Swarm", self.swarm), "default", now)
            self._seen = contents, view
        elif self._seen[1].as_of != now:
            # With all look-ups in it: none depends on when it was seen.
            view = copy.copy(self._seen[1])
            object.__setattr__(view, "as_of", now)
            self._seen = contents, view
        return self._seen[1]

    def look_at_all(self) -> World:
        """Look at everything, each generation anew."""
        return self._with_vault(self.look())

    def _look_where_it_moves(self) -> World:
        for event in self.swarm.happened():
            self.watch.cache.heard(event)
        return self._with_vault(self.watch.look())

    def _with_vault(self, swarm: SwarmView) -> World:
        vault, now = cast("Vault", self.vault), self.clock()
        view = look_at_vault(vault, Units(self.desired.sources), now)
        generations = {
            mirror.id: look_at_generation(vault, mirror, now)
            for mirror in swarm.mirrors
            if mirror.leased and not mirror.leased.ended
        }
        return World(replace(view, generations=generations), swarm)

    def cycle(self, world: World | None = None) -> Plan:
        """Run a cycle; on a world that was seen before, where one is given.

        It looks at what events told of and at what moves, and before it writes at all.
        """
        partly = world is None
        world = world or self._look_where_it_moves()
        plan = decide(self.desired, world, self.memory, self.clock())
        if partly and is_written(plan):
            world = replace(world, swarm=self.watch.look_at_all())
            plan = decide(self.desired, world, self.memory, self.clock())
        self.former = world
        journal = Journal(logs.logger(), "default")
        journal.follow(world.swarm)
        applier = Applier(
            cast("Vault", self.vault),
            cast("Swarm", self.swarm),
            instance="default",
            look=self.look,
            fence=lambda: self.fence,
            tell=journal.tell,
        )
        self.plan = plan
        outcomes = applier.apply(plan, lambda: False)
        unexpected = [(o.message, o.action) for o in outcomes if "unexpected" in o.message]
        assert not unexpected, unexpected
        self.memory = remember(self.desired, self.memory, world, outcomes, self.clock())
        self._left, self._latest = self.swarm.contents(), self.clock()
        return plan

    def cycle_with_late_answers(self, late: Iterable[str]) -> None:
        """Run a cycle on the swarm as it is, and on answers of Vault of different ages.

        Args:
            late: For each source whether its answer is new (``new``), that of the latest cycle
                (``former``), or has not come yet (``none``), as after a start.
        """
        world = self.look_at_all()
        former = self.former.vault if self.former else world.vault
        paths, asked = dict(world.vault.paths), dict(world.vault.asked)
        for source, age in zip(self.desired.sources, late, strict=False):
            if age != "new":
                paths[source] = former.paths.get(source, NOT_YET) if age == "former" else NOT_YET
                asked[source] = former.asked_at(source)
        self.cycle(replace(world, vault=replace(world.vault, paths=paths, asked=asked)))

    def seconds_pass(self, count: int, *, rest: int = 0) -> None:
        """Let seconds pass, with cycles when a bridge that runs has them: see ``bridge.cadence``.

        In the first second, and then as long as something is left to do or to wait for, when the
        swarm has changed, when the plan asks for it, and when Vault is to be looked at again.

        Args:
            rest: Ends it where nothing has happened for so many seconds and nothing is waited for.
        """
        quiet, before = 0, self.swarm.contents()
        for second in range(count):
            self.tick()
            now = self.swarm.contents()
            if not second or self._is_due(now):
                self.cycle()
                now = self._left
            quiet = quiet + 1 if self._rests() and now == before else 0
            if quiet and quiet == rest:
                return
            before = now

    def _rests(self) -> bool:
        """Tell whether the latest plan has nothing to do, to wait for or to try again."""
        plan = self.plan
        return bool(plan and plan.finished and not any(hold.until for hold in plan.holds))

    def _is_due(self, contents: bytes) -> bool:
        plan, now = self.plan, self.clock()
        if plan is None or not plan.finished or plan.doubtful:
            return True
        if now - self._latest >= LONGEST_PAUSE or (
            plan.wake_at is not None and plan.wake_at <= now
        ):
            return True
        return contents != self._left

    def cycle_with_trouble(self, after: int, done: bool, error: BaseException) -> None:
        """Let one write go wrong, before or after it is carried out; the next ones do not."""
        self.trouble_in(after, done, error)
        try:
            self.cycle()
        except Crash:
            self.memory = Memory()
            self.watch.cache.opened()
        finally:
            self.no_trouble()

    def engine_restarts(self, after: int, unseen: int) -> None:
        """Let the engine answer no more from some write on; nobody hears what happens meanwhile.

        Its events are gone with it, and nothing else is.
        """

        def trouble(_what: str, _done: bool) -> None:
            nonlocal after
            after -= not _done
            if after < 0:
                raise SwarmUnreachable("the engine does not answer")

        self.swarm.trouble = trouble
        self.cycle()
        self.no_trouble()
        for _ in range(unseen):
            self.tick()

    def tick(self) -> None:
        """Let a second pass."""
        self.swarm.tick()

    def deploy_again(
        self, ids: Iterable[str], replicas: int, away: int, *, same: bool
    ) -> list[str]:
        """Remove services, and deploy them anew as their stack file has them; returns the new ids.

        Args:
            away: Seconds for which they are gone.
            same: Whether the file names the versions that they had, as far as they are there yet.
        """
        specs = [self.swarm.service(service_id)["Spec"] for service_id in ids]
        for service_id in ids:
            self.swarm.remove_service(service_id)
        for _ in range(away):
            self.tick()
            self.cycle()
        there = {raw["ID"] for raw in self.swarm.secrets()}
        made = []
        for spec in specs:
            had = spec["TaskTemplate"]["ContainerSpec"]["Secrets"]
            secrets = [ref for ref in had if same and ref["SecretID"] in there]
            action = spec["UpdateConfig"]["FailureAction"]
            made.append(self.swarm.deploy(spec["Name"], replicas, action, secrets=secrets))
        return made

    def nothing_is_kept_of_services_that_are_gone(self) -> None:
        """Look at the labels themselves: what decides does not see such ones."""
        alive = {raw["ID"] for raw in self.swarm.services()}
        for raw in self.swarm.secrets():
            assert labels_by_service(raw["Spec"]["Labels"]).keys() <= alive, raw

    def trouble_in(self, after: int, done: bool, error: BaseException) -> None:
        """Let a write to the swarm go wrong."""
        self.swarm.trouble = self.failing(after, done, error)

    def failing(self, after: int, done: bool, error: BaseException) -> Refusal:
        """Make what goes wrong after some writes, once."""
        left = [None] * after

        def trouble(_what: str, is_done: bool) -> None:
            if is_done != done:
                return
            if left:
                left.pop()
                return
            self.no_trouble()
            raise error

        return trouble

    def no_trouble(self) -> None:
        """Let all writes go well."""
        self.swarm.trouble = lambda _what, _done: None
