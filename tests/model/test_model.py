"""The whole bridge against servers in memory, with whatever can happen in any order.

The real look, decision and application run; only the servers are fakes. Whatever was done, the
invariants hold after each step, and once the trouble ends everything comes to rest where it should.
"""

from __future__ import annotations

import os
from typing import cast

from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from bridge.decide.services.progress import progress_of
from bridge.model.labels import WOKEN
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.names import state_config_name
from bridge.model.reasons import State
from bridge.model.set_aside import By
from bridge.model.swarm_view import SwarmView
from bridge.operate import Operator
from bridge.servers.swarm import Swarm
from tests.model.machine import CANARY, NAMES, Machine, frame, ids, secrets
from tests.support.fakes import Json

LONG = os.environ.get("BRIDGE_TEST_MODEL") == "long"


class Model(Machine):
    """What must hold, whatever happens."""

    # --- what must always hold -------------------------------------------------------------------

    def an_update_is_sent(self, service_id: str, before: Json, after: Json) -> None:
        """I3: never for nothing; one label may change alone, to wake a hung updater.

        Its node may be back by then: that lets the engine pause the update for the task it lost.
        """
        if before["TaskTemplate"] == after["TaskTemplate"]:
            assert before["Labels"].get(WOKEN) != after["Labels"][WOKEN]
            down = any(node["Status"]["State"] == "down" for node in self.swarm.nodes())
            status = self.swarm.service(service_id).get("UpdateStatus") or {}
            assert down or status.get("State") == "paused"
            return
        self.nothing_set_aside_is_begun(service_id, ids(before), ids(after))
        self.no_file_goes_away(service_id, ids(before), ids(after))
        if self.alone:
            self.not_too_many_are_in_flight(service_id, ids(before), ids(after))

    def nothing_set_aside_is_begun(
        self, service_id: str, before: frozenset[str], after: frozenset[str]
    ) -> None:
        """I11: only a suspect has its one turn alone.

        And a service goes back to what it had, if that failed for others only (``on_failure: all``)
        or while the service was ill by its own fault.
        """
        known = self.look().mirror_by_id
        for begun in after - before:
            mirror = known.get(begun)
            if mirror is None:
                continue
            own, everywhere = mirror.asides.get(service_id), mirror.asides.get("")
            newer = [known[i] for i in before if i in known and known[i].secret == mirror.secret]
            back = any(mirror.order < left.order for left in newer)
            records = (left.open_record(service_id) for left in newer)
            had = any(record and begun in record.before_ids for record in records)
            ills = own and own.by == By.SERVICE and back and (mirror.good or had)
            assert own is None or own.by == By.SUSPECT or ills, (own, service_id)
            assert own is None or ills or len(after - before) == 1
            assert everywhere is None or (back and everywhere.by == By.FAILURE), everywhere

    def no_file_goes_away(
        self, service_id: str, before: frozenset[str], after: frozenset[str]
    ) -> None:
        """I3: but one that the service had not before it was given its first version."""
        known = self.look().mirror_by_id
        names = {known[i].secret for i in after if i in known}
        self.kept |= {(service_id, known[i].secret) for i in before if self.is_held(i, service_id)}
        for left in (known[i] for i in before if i in known):
            assert left.secret in names or (service_id, left.secret) not in self.kept, left

    def is_held(self, secret_id: str, service_id: str) -> bool:
        """Tell whether a service has come to a version for good, or had it from its stack."""
        mirror = self.look().mirror_by_id.get(secret_id)
        return mirror is not None and not mirror.open_record(service_id)

    def not_too_many_are_in_flight(
        self, service_id: str, before: frozenset[str], after: frozenset[str]
    ) -> None:
        """I7: by specs and tasks; what was seen to have failed has given its place free.

        A service fails as a whole, also where one of the versions that it moved to is to blame.
        One that has converged keeps its place until each task has run for as long as Monitor.
        """
        view = self.look()
        assert self.plan
        held = {
            service.name
            for condition in self.plan.conditions
            for service in condition.services
            if service.state in {State.DEGRADED, State.HELD}
        }
        flying = 0
        for service in view.services:
            ours = [view.mirror_by_id[i] for i in service.secret_ids if i in view.mirror_by_id]
            begun = [m for m in ours if m.open_record(service.id)]
            waits = any(m.aside_for(service.id) or m.block_for(service.id) for m in begun)
            if service.id == service_id or not begun or waits or service.name in held:
                continue  # what waits has yet to go back
            tasks = view.tasks_by_service.get(service.id, ())
            converged = progress_of(service, tasks, service.secret_ids).converged
            ages = [self.clock() - task.written for task in tasks if task.running]
            flying += not (converged and all(age >= service.monitor for age in ages))
        forward = [view.mirror_by_id[i] for i in after - before if i in view.mirror_by_id]
        if forward:
            assert flying < self.desired.rollout.max_in_flight, (service_id, held)

    def a_version_is_removed(self, secret_id: str) -> None:
        """What services come back to stays, whatever is set aside: also while they are gone."""
        view = self.look()
        mirror = view.mirror_by_id[secret_id]
        own = view.mirrors_of("default", mirror.secret)
        for place in ("", *self.ids.values()):
            usable = next((other for other in own if not other.aside_for(place)), None)
            assert usable != mirror, (mirror, place)

    @invariant()
    def a_service_has_at_most_one_version_of_a_name(self) -> None:
        """I2."""
        mirrors = self.look().mirror_by_id if self.ids else {}
        for raw in self.swarm.services():
            refs = [ref["SecretID"] for ref in secrets(raw["Spec"])]
            held = [(mirrors[ref].secret, ref) for ref in refs if ref in mirrors]
            assert len({name for name, _ in held}) == len(set(held))

    @invariant()
    def nothing_is_blamed_that_never_started(self) -> None:
        """What a service failed on was given to a process of it once."""
        for mirror in self.look().mirrors if self.ids else ():
            for service_id, mark in mirror.asides.items():
                if mark.by in (By.FAILURE, By.SUSPECT, By.SERVICE):
                    started = {s for s, secret in self.swarm.started if secret == mirror.id}
                    assert started & ({service_id} if service_id else started), (mirror, mark)

    @invariant()
    def nothing_but_references_was_ever_changed(self) -> None:
        """I3: each spec is, but for its secrets, one that people wrote."""
        for raw in self.swarm.services():
            assert repr(frame(raw["Spec"])) in self.frames[raw["Spec"]["Name"]]

    @invariant()
    def what_may_be_needed_is_there(self) -> None:
        """I1: every Spec, PreviousSpec, record and task that has not ended finds its secrets."""
        there = {raw["ID"] for raw in self.swarm.secrets()}
        needed = set()
        for raw in self.swarm.services():
            for spec in (raw["Spec"], raw.get("PreviousSpec")):
                needed |= {ref["SecretID"] for ref in secrets(spec or {})}
        for task in self.swarm.tasks():
            if task["Status"]["State"] == "running":
                needed |= {ref["SecretID"] for ref in secrets({"TaskTemplate": task["Spec"]})}
        assert needed <= there

    # --- how it ends -----------------------------------------------------------------------------

    def teardown(self) -> None:
        """All trouble ends, good versions are written, and everything comes to rest on them."""
        if not self.ids:
            return
        self.trouble_ends()
        self.cycles_come_to_rest()
        view = self.look()
        newest = {
            mirror.id: mirror.secret
            for mirror in view.mirrors
            if mirror == _newest(view, mirror.secret)
        }
        for service in view.services:
            assert {newest.get(ref.secret_id) for ref in service.references} == set(
                NAMES[service.name]
            ), (service, self.plan)
        self.nothing_but_references_was_ever_changed()
        self.idle_cycles_write_nothing()
        kept = [*self.swarm.secrets(), self.swarm.config(state_config_name("default"))]
        assert CANARY not in self.said.getvalue() + repr(kept) + repr(self.plan)  # I6
        self.nothing_is_kept_of_services_that_are_gone()
        for mirror in view.mirrors:
            assert mirror.good or mirror != _newest(view, mirror.secret), mirror
        way_back = frozenset[str]().union(*(s.previous or () for s in view.services))
        # A version that was made anew is one version still.
        kept_for = {(m.secret, m.identity) for m in view.mirrors if m.id not in way_back}
        left = [secret for secret, _ in kept_for]
        assert all(left.count(secret) <= self.desired.retain.versions for secret in left)

    def trouble_ends(self) -> None:
        """Machines come back, services are cured, pauses end; then good versions are written."""
        self.swarm.sick.clear()
        self.swarm.unplaced.clear()
        self.swarm.imageless.clear()
        for node in ("n2", "n3"):
            self.swarm.node_up(node)
        Operator(cast("Swarm", self.swarm), self.desired, clock=self.clock).resume("", "")
        self.seconds_pass(60, rest=8)
        self.values += 1
        for path in ("db", "key"):
            self.vault.write(path, f"{CANARY}-last-{self.values}")
        for name in NAMES:  # what somebody else's update left stopped half-way is theirs to end
            self.swarm.edit(self.ids[name], lambda spec: spec["Labels"].update(mended="x"))
        self.keep_frames()

    def cycles_come_to_rest(self) -> None:
        """Nothing is left to do within some minutes."""
        quiet = 0
        for _ in range(400):
            self.swarm.tick()
            before = len(self.swarm.writes)
            plan = self.cycle()
            quiet = quiet + 1 if plan.finished and len(self.swarm.writes) == before else 0
            if quiet > 3:
                break

    def idle_cycles_write_nothing(self) -> None:
        """I5: with and without what a process remembers."""
        writes = len(self.swarm.writes)
        for memory in (self.memory, Memory()):
            self.memory = memory
            self.seconds_pass(10)
        assert self.swarm.writes[writes:] == []


def _newest(view: SwarmView, name: str) -> Mirror:
    return max((m for m in view.mirrors if m.secret == name), key=lambda m: m.order)


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=1000 if LONG else 60,
    stateful_step_count=40 if LONG else 30,
    derandomize=not LONG,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
