"""Leased credentials in the whole bridge against servers in memory, with whatever can happen.

No credential ends by our doing while something uses it, none lives that nobody knows of, and once
the trouble ends each secret has one user, on which all its services are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import ParamSpec

from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from bridge.model.labels import ACCESSOR, LEASE
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.set_aside import By
from bridge.model.timestamps import instant
from tests.model.leased import LEASED, OVERLAP_MAX, PROVISIONAL, SERVICES, LeasedMachine
from tests.model.machine import ids, secrets
from tests.support.fakes import Json
from tests.support.fakes.leases import Lease

LONG = os.environ.get("BRIDGE_TEST_MODEL") == "long"
OVER = ("shutdown", "failed")
LONG_PEACE = 90.0
"""Seconds in which a rotation is through, if nobody meddles."""


_P = ParamSpec("_P")


class Broken(BaseException):
    """Something does not hold; what the bridge does with errors must not hide it."""


def loudly(judge: Callable[_P, None]) -> Callable[_P, None]:
    """Let what is judged in the middle of an action of the bridge be heard."""

    def judged(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            judge(*args, **kwargs)
        except AssertionError as error:
            raise Broken(str(error)) from error

    return judged


class LeasedModel(LeasedMachine):
    """What must hold, whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        self.leases.seen_end = loudly(self.a_lease_is_ended)
        self.swarm.seen_update = loudly(self.an_update_is_sent)

    # --- what must always hold -------------------------------------------------------------------

    def a_lease_is_ended(self, lease: Lease) -> None:
        """I4: judged before the bridge shortens or revokes it."""
        view = self.look()
        mirror = self.mirror_of(lease)
        if mirror is None or lease.over:
            return  # nothing in the swarm names it, so nothing can use it
        assert mirror.leased
        if mirror.leased.at_once == "first":
            return
        own = view.mirrors_of("default", mirror.secret)
        newer = [other for other in own if mirror.identity < other.identity]
        assert mirror.leased.retiring
        users = {service.name for service in view.services if mirror.id in service.secret_ids}
        good_for = max((self.clock() - instant(m.good) / 1e9 for m in newer if m.good), default=0.0)
        users |= {
            task.id
            for task in view.tasks
            if mirror.id in task.secret_ids
            and (task.live or task.desired_state == "running")
            and not (task.lost and good_for >= OVERLAP_MAX)
        }
        assert not users, (mirror, users)
        failed = any(mark.by in (By.FAILURE, By.SERVICE) for mark in mirror.asides.values())
        if mirror.good and not failed:
            assert any(m.good for m in newer), mirror

    def an_update_is_sent(self, _service: str, before: Json, after: Json) -> None:
        """No service moves forward to a generation that is not kept, or whose end has begun."""
        known = self.look().mirror_by_id
        for begun in ids(after) - ids(before):
            mirror = known.get(begun)
            if mirror is None or mirror.leased is None:
                continue
            left = [known[i] for i in ids(before) if i in known]
            forward = all(m.identity < mirror.identity for m in left if m.secret == mirror.secret)
            lease = self.leases.history[mirror.leased.lease]
            token = self.leases.tokens.get(mirror.leased.accessor)
            if forward:
                assert lease.by == "people" or (token and token.renewed is not None), mirror
            if self.alone:
                assert not mirror.leased.ended, mirror

    def tick(self) -> None:
        super().tick()
        self.running_tasks_can_log_in()
        self.no_credential_lives_that_nobody_knows_of()

    def running_tasks_can_log_in(self) -> None:
        """Every running task's credential is valid, unless that was not in the bridge's hands."""
        known = {raw["ID"]: raw["Spec"]["Labels"] for raw in self.swarm.secrets()}
        for secret_id in self.held_by_running_tasks():
            labels = known.get(secret_id, {})
            lease = self.leases.history.get(labels.get(LEASE, ""))
            if lease and not self.leases.valid(lease.username):
                why = self.excuse(lease, self.mirror_of(lease))
                assert why, (lease, labels, self.peace, self.good_cycles[-12:])

    def held_by_running_tasks(self) -> set[str]:
        """Return the ids of the Docker secrets that tasks have which run where somebody sees it."""
        return {
            ref["SecretID"]
            for task in self.swarm.tasks()
            if (task["Status"]["State"], task["DesiredState"]) == ("running", "running")
            and task["NodeID"] not in self.down
            for ref in secrets({"TaskTemplate": task["Spec"]})
        }

    def excuse(self, lease: Lease, mirror: Mirror | None) -> str:
        """Say why a credential may have ended that was in use; empty where it must not."""
        if lease.by == "people" or lease.id in self.by_hand:
            return "somebody revoked it, or moved services to it afterwards"
        if mirror and mirror.leased and mirror.leased.at_once == "first":
            return "an operator wanted it"
        if lease.by != "its time":
            return ""
        if lease.ends >= lease.started + lease.longest - 1.5:
            return "its hard end came in the middle of trouble" * self.is_trouble(lease.ends)
        from_ = lease.ends - 0.4 * lease.granted
        seen = [at for at in self.good_cycles if from_ <= at <= lease.ends]
        return "nobody could renew it" * (not seen or seen[-1] - seen[0] < 4)

    def is_trouble(self, at: float) -> bool:
        """Tell whether something held up what should have been done in time."""
        view = self.look()
        marked = any(mirror.asides for mirror in view.mirrors)
        standing = self.down or self.swarm.sick or view.pauses or marked
        return bool(standing) or self.peace > at - LONG_PEACE

    def mirror_of(self, lease: Lease) -> Mirror | None:
        """Return the Docker secret that names a lease."""
        found = (m for m in self.look().mirrors if m.leased and m.leased.lease == lease.id)
        return next(found, None)

    def no_credential_lives_that_nobody_knows_of(self) -> None:
        """I10: what no Docker secret names ends with its provisional life, custodies too."""
        labels = [raw["Spec"]["Labels"] for raw in self.swarm.secrets()]
        named = {found.get(key) for found in labels for key in (LEASE, ACCESSOR)}
        lives: list[tuple[str, float]] = [
            (lease.id, lease.started)
            for lease in list(self.leases.leases.values())
            if self.leases.valid(lease.username)
        ]
        lives += [(token.accessor, token.started) for token in self.leases.tokens.values()]
        for handle, started in lives:
            assert handle in named or self.clock() <= started + PROVISIONAL + 1, handle

    @invariant()
    def few_credentials_live_at_once(self) -> None:
        for name in LEASED:
            named = [
                m
                for m in self.look().mirrors_of("default", name)
                if m.leased and m.leased.lease in self.leases.leases
            ]
            assert len(named) <= 4, named

    # --- how it ends -----------------------------------------------------------------------------

    def teardown(self) -> None:
        """All trouble ends, and everything comes to rest on one credential for each secret."""
        if not self.ids:
            return
        self.trouble_ends()
        self.cycles_come_to_rest()
        view = self.look()
        assert self.plan
        for name, services in LEASED.items():
            newest = view.mirrors_of("default", name)[0]
            assert newest.leased
            users = self.leases.users_of(name)
            lease = self.leases.history[newest.leased.lease]
            assert users == [lease.username], (users, newest, self.plan)
            assert newest.good, self.plan
            for service in services:
                held = view.service_by_name[service].secret_ids
                own = {m.id for m in view.mirrors_of("default", name)}
                assert held & own == {newest.id}, (service, self.plan)
        self.nothing_is_kept_of_services_that_are_gone()
        assert not view.wishes, view.wishes
        alive = {lease.id for lease in self.leases.leases.values()}
        named = {m.leased.lease for m in view.mirrors if m.leased}
        assert alive <= named
        self.idle_cycles_write_nothing()
        self.nothing_was_said()

    def nothing_was_said(self) -> None:
        """I6; a lease's id is half a secret too."""
        told = self.said.getvalue() + repr(self.plan)
        handles = [*self.leases.history, *self.leases.users.values()]
        handles += [lease.accessor + '"' for lease in self.leases.history.values()]
        assert not [handle for handle in handles if handle in told]

    def trouble_ends(self) -> None:
        """Machines come back, services are cured, pauses end; then everything is rotated."""
        self.swarm.sick.clear()
        for node in ("n2", "n3"):
            self.swarm.node_up(node)
        self.down.clear()
        self.leases.passwords = []
        for name in LEASED:
            self.leases.set_role(name, 60.0, 1e6)
        ageless = (
            replace(s, lease=replace(s.lease, rotate_every=None)) for s in self.desired.secrets
        )
        self.desired = replace(self.desired, secrets=tuple(ageless))
        self.operator.resume("", "")
        self.meddled()
        self.seconds_pass(60)
        self.nobody_is_left_on_what_is_over()
        for name in SERVICES:  # what was stopped half-way is somebody's to end
            self.swarm.edit(self.ids[name], lambda spec: spec["Labels"].update(mended="x"))
        for name in LEASED:
            self.operator.rotate(name, "", at_once=False, first=False)
        self.vault.write("key", "plain")

    def nobody_is_left_on_what_is_over(self) -> None:
        """Whatever has ended the credential of a task, by now it has another, or is told why."""
        assert self.plan
        told = {hold.secret for hold in self.plan.holds}
        for mirror in self.look().mirrors:
            if mirror.leased and mirror.id in self.held_by_running_tasks():
                lease = self.leases.history[mirror.leased.lease]
                good = self.leases.valid(lease.username) or mirror.secret in told
                assert good, (mirror, self.plan)

    def cycles_come_to_rest(self) -> None:
        """Nothing is left to do within some minutes."""
        quiet = 0
        for _ in range(400):
            self.tick()
            before = len(self.swarm.writes)
            plan = self.cycle()
            rests = plan.finished and not any(hold.until for hold in plan.holds)
            quiet = quiet + 1 if rests and len(self.swarm.writes) == before else 0
            if quiet > 3:
                break

    def idle_cycles_write_nothing(self) -> None:
        """I5: with and without what a process remembers; leases are renewed all the same."""
        writes = len(self.swarm.writes)
        for memory in (self.memory, Memory()):
            self.memory = memory
            self.seconds_pass(35)
        assert self.swarm.writes[writes:] == []


TestLeasedModel = LeasedModel.TestCase
TestLeasedModel.settings = settings(
    max_examples=1000 if LONG else 45,
    stateful_step_count=40 if LONG else 25,
    derandomize=not LONG,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
