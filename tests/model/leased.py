"""Leased credentials: a bridge, its servers in memory, and everybody who may meddle."""

from __future__ import annotations

import contextlib
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from bridge.errors import AnswerLost, OutOfSequence, SwarmRefused, VaultUnreachable
from bridge.model.desired import (
    Content,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    LeaseRules,
    Mapping,
    Retain,
    Rollout,
)
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.world import World
from bridge.operate import Operator, WishRefused
from bridge.servers.swarm import Swarm
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from tests.model.bench import LATE_ANSWERS, Bench
from tests.support.fakes import LATE, POISON, Crash, Json

LEASED = {"db": ("a", "b"), "mq": ("b",)}
SERVICES = {"a": ("db", "key"), "b": ("db", "mq")}
GRACE = 3.0
OVERLAP_MAX = 40.0
TIMEOUT = 20.0
PROVISIONAL = 20.0
"""That of the fake."""

NAMES = st.sampled_from(list(LEASED))
WRITES = st.integers(0, 4)


class LeasedMachine(Bench):
    """Two leased secrets and a plain one, two services, and everybody who may meddle.

    Attributes:
        good_cycles: When the bridge ran a cycle in which nothing was away or went wrong.
        peace: Since when nobody has meddled with anything.
        by_hand: Leases that were over when somebody moved a service to them by hand.
        alone: Whether no bridge ever acted on what it saw too long ago.
    """

    def __init__(self) -> None:
        super().__init__()
        self.leases = self.vault.leases
        self.others_memory = Memory()
        self.ids: dict[str, str] = {}
        self.good_cycles: list[float] = []
        self.peace = 0.0
        self.alone = True
        self.down: set[str] = set()
        self.by_hand: set[str] = set()

    @initialize(
        actions=st.lists(st.sampled_from(["rollback", "pause"]), min_size=2, max_size=2),
        replicas=st.lists(st.integers(1, 3), min_size=2, max_size=2),
        in_flight=st.integers(1, 2),
        everybody=st.booleans(),
        lags=st.booleans(),
        default=st.sampled_from([20.0, 60.0]),
        longest=st.sampled_from([200.0, 1e5, 1e5]),
        every=st.sampled_from([None, None, 90.0]),
    )
    def begin(
        self,
        actions: list[str],
        replicas: list[int],
        in_flight: int,
        everybody: bool,
        lags: bool,
        default: float,
        longest: float,
        every: float | None,
    ) -> None:
        self.swarm.lags = lags
        for name, action, count in zip(SERVICES, actions, replicas, strict=True):
            self.ids[name] = self.swarm.deploy(name, count, action)
        rules = LeaseRules(1 / 3, every, KvPath("", "kv", "go"), GRACE, OVERLAP_MAX)
        content = Content(format=Format.RAW, field="password")
        leased = (
            DesiredSecret(
                name=name,
                source=DatabaseRole("", "db", name),
                content=content,
                services=tuple(Mapping(service, (FileFields(name),)) for service in services),
                lease=rules,
            )
            for name, services in LEASED.items()
        )
        plain = DesiredSecret(
            name="key",
            source=KvPath("", "kv", "key"),
            content=content,
            services=(Mapping("a", (FileFields("key"),)),),
        )
        self.desired = Desired(
            instance="default",
            secrets=(*leased, plain),
            rollout=Rollout(
                max_in_flight=in_flight, bake=2.0, timeout=TIMEOUT, all_go_back=everybody
            ),
            retain=Retain(1, 0.0),
        )
        for name in LEASED:
            self.leases.set_role(name, default, longest)
        self.vault.write("go", "1")
        self.vault.write("key", "plain")
        self.meddled()
        self.time_passes(12)

    # --- the bridge ------------------------------------------------------------------------------

    def meddled(self) -> None:
        """Note that somebody has just meddled."""
        self.peace = self.clock()

    def cycle(self, world: World | None = None) -> Plan:
        plan = super().cycle(world)
        if world is None and not (self.leases.away or self.leases.database_away):
            self.good_cycles.append(self.clock())
        return plan

    def trouble_in(self, after: int, done: bool, error: BaseException) -> None:
        """Let a write to Vault or to the swarm go wrong, whichever comes."""
        trouble = self.failing(after, done, error)

        def in_vault(what: str, is_done: bool) -> None:
            try:
                trouble(what, is_done)
            except (AnswerLost, OutOfSequence):
                raise VaultUnreachable("no answer") from None

        self.swarm.trouble, self.leases.trouble = trouble, in_vault

    def no_trouble(self) -> None:
        super().no_trouble()
        self.leases.trouble = lambda _what, _done: None

    @rule(times=st.integers(1, 8))
    def time_passes(self, times: int) -> None:
        for _ in range(times):
            self.tick()
            self.cycle()

    @rule(times=st.integers(20, 50))
    def a_long_time_passes(self, times: int) -> None:
        self.time_passes(times)

    @rule(times=st.sampled_from([1, 2, 5, 12, 25]))
    def time_passes_unseen(self, times: int) -> None:
        self.meddled()
        for _ in range(times):
            self.tick()
        self.meddled()

    @rule(after=WRITES, done=st.booleans())
    def killed(self, after: int, done: bool) -> None:
        """I10: before or after any write, to Vault or to the swarm."""
        self.meddled()
        self.cycle_with_trouble(after, done, Crash())

    @rule(after=WRITES, done=st.booleans())
    def an_answer_is_lost(self, after: int, done: bool) -> None:
        """I13."""
        self.meddled()
        self.cycle_with_trouble(after, done, AnswerLost("no answer"))

    @rule(
        name=NAMES,
        cycles=st.integers(0, 2),
        after=WRITES,
        done=st.booleans(),
        error=st.sampled_from([Crash(), AnswerLost("no answer")]),
    )
    def trouble_with_a_new_one(
        self, name: str, cycles: int, after: int, done: bool, error: BaseException
    ) -> None:
        """I10, I13: while it is made, before it is kept, and when services move to it."""
        self.rotate(name, "", "")
        self.time_passes(cycles)
        self.meddled()
        self.cycle_with_trouble(after, done, error)

    @rule(after=WRITES)
    def somebody_is_quicker(self, after: int) -> None:
        self.meddled()
        self.cycle_with_trouble(after, False, OutOfSequence("update out of sequence"))

    @rule()
    def restarted(self) -> None:
        self.memory = Memory()

    @precondition(lambda self: self.former)
    @rule(fence=st.booleans())
    def a_stale_look(self, fence: bool) -> None:
        """A bridge that was stopped for a while acts on what it saw then.

        Args:
            fence: Whether it still leads.
        """
        self.meddled()
        self.alone = False
        self.fence = fence
        self.cycle(self.former)
        self.fence = True

    @rule(late=LATE_ANSWERS)
    def answers_of_vault_come_late(self, late: list[str]) -> None:
        """It is watched beside the cycle, path by path."""
        self.meddled()
        self.cycle_with_late_answers(late)

    @rule(fence=st.booleans())
    def another_bridge_acts(self, fence: bool) -> None:
        """For a moment two of them believe to lead."""
        self.meddled()
        self.fence = fence
        self.memory, self.others_memory = self.others_memory, self.memory
        self.cycle()
        self.memory, self.others_memory = self.others_memory, self.memory
        self.fence = True

    # --- Vault and its database ------------------------------------------------------------------

    @rule(times=st.sampled_from([1, 3, 8, 30]))
    def vault_is_away(self, times: int) -> None:
        """I9."""
        self.meddled()
        self.vault.away = True
        self.time_passes(times)
        self.vault.away = False
        self.meddled()

    @rule(times=st.sampled_from([1, 3, 8, 30]))
    def the_database_is_away(self, times: int) -> None:
        self.meddled()
        self.leases.database_away = True
        self.time_passes(times)
        self.leases.database_away = False
        self.meddled()

    @rule(name=NAMES, back=st.integers(0, 1), custody=st.booleans())
    def somebody_revokes(self, name: str, back: int, custody: bool) -> None:
        self.meddled()
        own = self.look().mirrors_of("default", name)
        if len(own) > back and own[back].leased:
            leased = own[back].leased
            assert leased
            if custody:
                self.leases.token_revoked(leased.accessor)
            else:
                self.leases.revoked(leased.lease)

    @rule(name=NAMES, default=st.sampled_from([20.0, 60.0]), longest=st.sampled_from([200.0, 1e5]))
    def a_role_changes(self, name: str, default: float, longest: float) -> None:
        self.meddled()
        self.leases.set_role(name, default, longest)

    @rule()
    def somebody_asks_for_a_rotation(self) -> None:
        self.meddled()
        self.vault.write("go", "again")

    @rule()
    def the_plain_one_is_rotated(self) -> None:
        self.meddled()
        self.vault.write("key", "plain")

    # --- operators -------------------------------------------------------------------------------

    @property
    def operator(self) -> Operator:
        """Whoever uses the command line."""
        return Operator(cast("Swarm", self.swarm), self.desired, clock=self.clock)

    @rule(
        name=NAMES,
        kind=st.sampled_from(["", "", "", POISON, LATE]),
        how=st.sampled_from(["", "now", "first"]),
    )
    def rotate(self, name: str, kind: str, how: str) -> None:
        self.meddled()
        self.leases.passwords = [kind] if kind else []
        self.operator.rotate(name, "", at_once=how == "now", first=how == "first")

    @rule(
        name=NAMES,
        kind=st.sampled_from(["", POISON, LATE]),
        how=st.sampled_from(["", "now", "first"]),
    )
    def a_whole_rotation(self, name: str, kind: str, how: str) -> None:
        """One that is left in peace until it has ended, well or not."""
        self.rotate(name, kind, how)
        self.time_passes(20)

    @rule(name=NAMES, do=st.sampled_from(["rollback", "rollback", "retry", "resume"]))
    def wish(self, name: str, do: str) -> None:
        self.meddled()
        ask: Any = getattr(self.operator, do)
        with contextlib.suppress(WishRefused):
            _ = ask(name, None, "") if do == "rollback" else ask(name, "")

    @rule(name=st.sampled_from(["", *LEASED]))
    def pause(self, name: str) -> None:
        self.meddled()
        self.operator.pause(name, "")

    @rule()
    def resume_all(self) -> None:
        self.meddled()
        self.operator.resume("", "")

    # --- the swarm -------------------------------------------------------------------------------

    @rule(node=st.sampled_from(["n2", "n3"]))
    def a_node_dies(self, node: str) -> None:
        self.meddled()
        self.down.add(node)
        self.swarm.node_down(node)

    @rule(node=st.sampled_from(["n2", "n3"]))
    def a_node_comes_back(self, node: str) -> None:
        self.meddled()
        self.down.discard(node)
        self.swarm.node_up(node)

    @rule(name=st.sampled_from(list(SERVICES)))
    def rolled_back_by_hand(self, name: str) -> None:
        self.meddled()
        with contextlib.suppress(SwarmRefused):
            self.swarm.roll_back(self.ids[name])
        self.moved_by_hand(name)

    def moved_by_hand(self, name: str) -> None:
        """Note which leases were over when somebody moved a service to them."""
        view = self.look()
        for mirror in view.mirrors:
            if mirror.leased and mirror.id in view.service_by_name[name].secret_ids:
                ended = mirror.leased.lease not in self.leases.leases
                self.by_hand |= {mirror.leased.lease} if ended or mirror.leased.over else set()

    @rule(
        name=st.sampled_from(list(SERVICES)),
        replicas=st.integers(0, 3),
        away=st.sampled_from([0, 1, 8]),
        same=st.booleans(),
    )
    def deployed_again(self, name: str, replicas: int, away: int, same: bool) -> None:
        """A stack is removed and deployed again."""
        self.meddled()
        (self.ids[name],) = self.deploy_again([self.ids[name]], replicas, away, same=same)
        self.moved_by_hand(name)
        self.meddled()

    @rule(after=WRITES, unseen=st.integers(0, 3))
    def the_engine_restarts(self, after: int, unseen: int) -> None:
        self.meddled()
        self.engine_restarts(after, unseen)
        self.meddled()

    @rule(name=st.sampled_from(list(SERVICES)), count=st.integers(0, 3))
    def scaled(self, name: str, count: int) -> None:
        self.meddled()

        def change(spec: Json) -> None:
            spec["Mode"]["Replicated"]["Replicas"] = count

        self.swarm.edit(self.ids[name], change)

    @rule(name=st.sampled_from(list(SERVICES)))
    def falls_ill(self, name: str) -> None:
        self.meddled()
        self.swarm.sick.add(name)

    @precondition(lambda self: self.swarm.sick)
    @rule()
    def all_are_cured(self) -> None:
        self.meddled()
        self.swarm.sick.clear()
