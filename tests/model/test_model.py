"""The whole bridge against servers in memory, with whatever can happen in any order.

The real look, decision and application run; only the servers are fakes. Whatever was done, the
invariants hold after each step, and once the trouble ends everything comes to rest where it should.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge import logs
from bridge.apply import Applier
from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.errors import AnswerLost, OutOfSequence, SwarmRefused
from bridge.model.desired import (
    Content,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    KvPath,
    Mapping,
    Retain,
    Rollout,
)
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.plan import Plan
from bridge.model.world import SwarmView, World
from bridge.observe import look_at_swarm, look_at_vault
from bridge.operate import Operator, WishRefused
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from tests.support.fakes import LATE, POISON, Clock, Crash, FakeSwarm, FakeVault, Json

LONG = os.environ.get("BRIDGE_TEST_MODEL") == "long"
NAMES = {"a": ("db",), "b": ("db", "key"), "c": ("key",)}
TIMEOUT = 20.0


class Machine(RuleBasedStateMachine):
    """Two secrets, three services, one bridge, and everybody who may meddle."""

    def __init__(self) -> None:
        super().__init__()
        logs.configure(io.StringIO())
        self.clock = Clock()
        self.vault = FakeVault(self.clock)
        self.swarm = FakeSwarm(self.clock)
        self.memory = Memory()
        self.ids: dict[str, str] = {}
        self.frames: dict[str, Json] = {}
        self.values = 0
        self.plan: Plan | None = None

    @initialize(
        actions=st.lists(
            st.sampled_from(["rollback", "pause", "continue"]), min_size=3, max_size=3
        ),
        replicas=st.lists(st.integers(0, 3), min_size=3, max_size=3),
        in_flight=st.integers(1, 3),
        everybody=st.booleans(),
        lags=st.booleans(),
    )
    def begin(
        self,
        actions: tuple[str, str, str],
        replicas: tuple[int, int, int],
        in_flight: int,
        everybody: bool,
        lags: bool,
    ) -> None:
        self.swarm.lags = lags
        for name, action, count in zip(NAMES, actions, replicas, strict=True):
            self.ids[name] = self.swarm.deploy(name, count, action)
        self.desired = Desired(
            "default",
            tuple(
                DesiredSecret(
                    secret,
                    KvPath("", "kv", secret),
                    Content(Format.RAW, "password"),
                    tuple(
                        Mapping(s, FileFields(secret)) for s, has in NAMES.items() if secret in has
                    ),
                )
                for secret in ("db", "key")
            ),
            Rollout(in_flight, bake=2.0, timeout=TIMEOUT, all_go_back=everybody),
            Retain(2, 0.0),
        )
        for path in ("db", "key"):
            self.vault.write(path, "v1")
        self.keep_frames()
        self.swarm.seen_update = self.an_update_is_sent

    # --- the bridge ------------------------------------------------------------------------------

    def look(self) -> SwarmView:
        return look_at_swarm(cast("Swarm", self.swarm), "default", self.clock())

    def cycle(self) -> Plan:
        vault = look_at_vault(cast("Vault", self.vault), self.desired, self.clock())
        world = World(vault, self.look())
        plan = decide(self.desired, world, self.memory, self.clock())
        applier = Applier(
            cast("Vault", self.vault), cast("Swarm", self.swarm), "default", self.look
        )
        self.plan = plan
        outcomes = applier.apply(plan, lambda: False)
        assert not [o.message for o in outcomes if "unexpected" in o.message]
        self.memory = remember(self.desired, self.memory, world, outcomes, self.clock())
        return plan

    @rule()
    def one_cycle(self) -> None:
        self.cycle()

    @rule(times=st.integers(1, 8))
    def time_passes(self, times: int) -> None:
        for _ in range(times):
            self.swarm.tick()
            self.cycle()

    @rule(times=st.integers(1, 4))
    def time_passes_unseen(self, times: int) -> None:
        for _ in range(times):
            self.swarm.tick()

    @rule(after=st.integers(0, 6), done=st.booleans())
    def killed(self, after: int, done: bool) -> None:
        """I10: before or after any write."""
        left = after

        def trouble(_what: str, is_done: bool) -> None:
            nonlocal left
            left -= is_done == done
            if left < 0:
                raise Crash

        self.swarm.trouble = trouble
        try:
            self.cycle()
        except Crash:
            self.memory = Memory()
        finally:
            self.swarm.trouble = lambda _what, _done: None

    @rule()
    def restarted(self) -> None:
        self.memory = Memory()

    @rule(after=st.integers(0, 4), done=st.booleans())
    def an_answer_is_lost(self, after: int, done: bool) -> None:
        """I13: the write was carried out, or not; nobody knows."""
        left = after

        def trouble(_what: str, is_done: bool) -> None:
            nonlocal left
            left -= is_done == done
            if left == -1:
                raise AnswerLost("no answer")

        self.swarm.trouble = trouble
        self.cycle()
        self.swarm.trouble = lambda _what, _done: None

    @rule(after=st.integers(0, 4))
    def somebody_is_quicker(self, after: int) -> None:
        left = after

        def trouble(_what: str, is_done: bool) -> None:
            nonlocal left
            left -= not is_done
            if left == -1:
                raise OutOfSequence("update out of sequence")

        self.swarm.trouble = trouble
        self.cycle()
        self.swarm.trouble = lambda _what, _done: None

    # --- the security team -----------------------------------------------------------------------

    @rule(path=st.sampled_from(["db", "key"]), kind=st.sampled_from(["good"] * 3 + [POISON, LATE]))
    def rotate(self, path: str, kind: str) -> None:
        self.values += 1
        self.vault.write(path, kind if kind in (POISON, LATE) else f"v{self.values}")

    # --- operators and others --------------------------------------------------------------------

    @rule(name=st.sampled_from(["db", "key"]), do=st.sampled_from(["rollback", "retry", "resume"]))
    def wish(self, name: str, do: str) -> None:
        operator = Operator(cast("Swarm", self.swarm), self.desired, self.clock)
        ask: Callable[..., str] = getattr(operator, do)
        with contextlib.suppress(WishRefused):
            _ = ask(name, None, "") if do == "rollback" else ask(name, "")

    @rule(name=st.sampled_from(["", "db", "key"]))
    def pause(self, name: str) -> None:
        Operator(cast("Swarm", self.swarm), self.desired, self.clock).pause(name, "")

    @rule(name=st.sampled_from(list(NAMES)))
    def rolled_back_by_hand(self, name: str) -> None:
        with contextlib.suppress(SwarmRefused):
            self.swarm.roll_back(self.ids[name])

    @rule(name=st.sampled_from(list(NAMES)), what=st.sampled_from(["label", "scale", "env"]))
    def edited(self, name: str, what: str) -> None:
        self.values += 1

        def change(spec: Json) -> None:
            if what == "label":
                spec["Labels"][f"l{self.values}"] = "x"
            elif what == "scale":
                spec["Mode"]["Replicated"]["Replicas"] = self.values % 4
            else:
                spec["TaskTemplate"]["ContainerSpec"]["Env"] = [f"E={self.values}"]

        self.swarm.edit(self.ids[name], change)
        self.keep_frames()

    @rule(name=st.sampled_from(list(NAMES)))
    def falls_ill(self, name: str) -> None:
        self.swarm.sick.add(name)

    @precondition(lambda self: self.swarm.sick)
    @rule()
    def all_are_cured(self) -> None:
        self.swarm.sick.clear()

    # --- what must always hold -------------------------------------------------------------------

    def keep_frames(self) -> None:
        """Remember what of each spec is not ours to change."""
        for raw in self.swarm.services():
            self.frames.setdefault(raw["Spec"]["Name"], {})
            for spec in (raw["Spec"], raw.get("PreviousSpec")):
                if spec:
                    frame = _frame(spec)
                    self.frames[raw["Spec"]["Name"]][repr(frame)] = frame

    def an_update_is_sent(self, service_id: str, before: Json, after: Json) -> None:
        """I3: never for nothing."""
        assert before["TaskTemplate"] != after["TaskTemplate"]
        old, new = (
            frozenset(ref["SecretID"] for ref in _secrets(spec)) for spec in (before, after)
        )
        self.nothing_set_aside_is_begun(service_id, old, new)

    def nothing_set_aside_is_begun(
        self, service_id: str, before: frozenset[str], after: frozenset[str]
    ) -> None:
        """I11: only a suspect has its one turn alone."""
        labels = {raw["ID"]: raw["Spec"]["Labels"] for raw in self.swarm.secrets()}
        for begun in after - before:
            places = ("vault-bridge.aside", f"vault-bridge.aside.{service_id}")
            marks = [labels[begun][place] for place in places if place in labels[begun]]
            assert all('"suspect"' in mark for mark in marks), (marks, service_id)
            assert not marks or len(after - before) == 1

    @invariant()
    def a_service_has_at_most_one_version_of_a_name(self) -> None:
        """I2."""
        mirrors = self.look().mirror_by_id if self.ids else {}
        for raw in self.swarm.services():
            refs = [ref["SecretID"] for ref in _secrets(raw["Spec"])]
            held = [(mirrors[ref].secret, ref) for ref in refs if ref in mirrors]
            assert len({name for name, _ in held}) == len(set(held))

    @invariant()
    def nothing_but_references_was_ever_changed(self) -> None:
        """I3: each spec is, but for its secrets, one that people wrote."""
        for raw in self.swarm.services():
            assert repr(_frame(raw["Spec"])) in self.frames[raw["Spec"]["Name"]]

    @invariant()
    def what_may_be_needed_is_there(self) -> None:
        """I1: every Spec, PreviousSpec, record and task that has not ended finds its secrets."""
        there = {raw["ID"] for raw in self.swarm.secrets()}
        needed = set()
        for raw in self.swarm.services():
            for spec in (raw["Spec"], raw.get("PreviousSpec")):
                needed |= {ref["SecretID"] for ref in _secrets(spec or {})}
        for task in self.swarm.tasks():
            if task["Status"]["State"] == "running":
                needed |= {ref["SecretID"] for ref in _secrets({"TaskTemplate": task["Spec"]})}
        assert needed <= there

    # --- how it ends -----------------------------------------------------------------------------

    def teardown(self) -> None:
        """All trouble ends, good versions are written, and everything comes to rest on them."""
        if not self.ids:
            return
        self.swarm.sick.clear()
        operator = Operator(cast("Swarm", self.swarm), self.desired, self.clock)
        operator.resume("", "")
        for _ in range(60):
            self.swarm.tick()
            self.cycle()
        self.values += 1
        for path in ("db", "key"):
            self.vault.write(path, f"last{self.values}")
        for name in NAMES:  # what somebody else's update left stopped half-way is theirs to end
            self.swarm.edit(self.ids[name], lambda spec: spec["Labels"].update(mended="x"))
        self.keep_frames()
        quiet = 0
        for _ in range(400):
            self.swarm.tick()
            before = len(self.swarm.writes)
            plan = self.cycle()
            quiet = quiet + 1 if plan.finished and len(self.swarm.writes) == before else 0
            if quiet > 3:
                break
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
        writes = len(self.swarm.writes)
        for memory in (self.memory, Memory()):  # I5: with and without what it remembers
            self.memory = memory
            for _ in range(10):
                self.swarm.tick()
                self.cycle()
        assert self.swarm.writes[writes:] == []
        way_back = frozenset[str]().union(*(s.previous or () for s in view.services))
        left = [mirror.secret for mirror in view.mirrors if mirror.id not in way_back]
        assert all(left.count(secret) <= 2 for secret in left)


def _newest(view: SwarmView, name: str) -> Mirror:
    return max((m for m in view.mirrors if m.secret == name), key=lambda m: m.identity.order)


def _secrets(spec: Json) -> list[Json]:
    template: Any = spec.get("TaskTemplate") or {}
    return (template.get("ContainerSpec") or {}).get("Secrets") or []


def _frame(spec: Json) -> Json:
    container = {k: v for k, v in spec["TaskTemplate"]["ContainerSpec"].items() if k != "Secrets"}
    return {**spec, "TaskTemplate": {**spec["TaskTemplate"], "ContainerSpec": container}}


TestModel = Machine.TestCase
TestModel.settings = settings(
    max_examples=1000 if LONG else 80,
    stateful_step_count=40 if LONG else 30,
    derandomize=not LONG,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
