"""A bridge, its servers in memory, and everybody who may meddle: what can happen, in any order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from bridge.errors import AnswerLost, OutOfSequence, SwarmRefused
from bridge.model.desired import (
    Content,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    Mapping,
    Retain,
    Rollout,
)
from bridge.model.labels import WOKEN
from bridge.model.memory import Memory
from bridge.operate import Operator, WishRefused
from bridge.servers.swarm import Swarm
from bridge.sources.kv.source import KvPath
from tests.model.bench import LATE_ANSWERS, Bench
from tests.support.fakes import FIRST, LATE, POISON, Crash, Json

NAMES = {"a": ("db",), "b": ("db", "key"), "c": ("key",)}
TIMEOUT = 20.0
CANARY = "c4n4ry"
"""In every value that is good."""


class Machine(Bench):
    """Two secrets, three services, one bridge, and everybody who may meddle."""

    def __init__(self) -> None:
        super().__init__()
        self.others_memory = Memory()
        self.alone = True
        self.ids: dict[str, str] = {}
        self.frames: dict[str, Json] = {}
        self.kept: set[tuple[str, str]] = set()
        self.values = 0

    @initialize(
        actions=st.lists(
            st.sampled_from(["rollback", "pause", "continue"]), min_size=3, max_size=3
        ),
        replicas=st.lists(st.integers(0, 3), min_size=3, max_size=3),
        in_flight=st.integers(1, 3),
        everybody=st.booleans(),
        lags=st.booleans(),
        keep=st.integers(1, 2),
    )
    def begin(
        self,
        actions: tuple[str, str, str],
        replicas: tuple[int, int, int],
        in_flight: int,
        everybody: bool,
        lags: bool,
        keep: int,
    ) -> None:
        self.swarm.lags = lags
        for name, action, count in zip(NAMES, actions, replicas, strict=True):
            self.ids[name] = self.swarm.deploy(name, count, action)
        self.desired = Desired(
            instance="default",
            secrets=tuple(
                DesiredSecret(
                    name=secret,
                    source=KvPath("", "kv", secret),
                    content=Content(format=Format.RAW, field="password"),
                    services=tuple(
                        Mapping(s, (FileFields(secret),))
                        for s, has in NAMES.items()
                        if secret in has
                    ),
                )
                for secret in ("db", "key")
            ),
            rollout=Rollout(
                max_in_flight=in_flight, bake=2.0, timeout=TIMEOUT, all_go_back=everybody
            ),
            retain=Retain(keep, 0.0),
        )
        for path in ("db", "key"):
            self.vault.write(path, CANARY)
        self.keep_frames()
        self.swarm.seen_update = self.an_update_is_sent
        self.swarm.seen_removal = self.a_version_is_removed

    # --- the bridge ------------------------------------------------------------------------------

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
        self.cycle_with_trouble(after, done, Crash())

    @rule(after=st.integers(0, 4), done=st.booleans())
    def an_answer_is_lost(self, after: int, done: bool) -> None:
        """I13: the write was carried out, or not; nobody knows."""
        self.cycle_with_trouble(after, done, AnswerLost("no answer"))

    @rule(after=st.integers(0, 4))
    def somebody_is_quicker(self, after: int) -> None:
        self.cycle_with_trouble(after, False, OutOfSequence("update out of sequence"))

    @precondition(lambda self: self.former)
    @rule()
    def a_stale_look(self) -> None:
        """The manager that answers has been cut off, and knows nothing of the latest."""
        self.alone = False
        self.cycle(self.former)

    @rule(late=LATE_ANSWERS)
    def answers_of_vault_come_late(self, late: list[str]) -> None:
        """It is watched beside the cycle, path by path."""
        self.cycle_with_late_answers(late)

    @rule()
    def another_bridge_acts(self) -> None:
        """For a moment two of them believe to lead."""
        self.alone = False
        self.memory, self.others_memory = self.others_memory, self.memory
        self.cycle()
        self.memory, self.others_memory = self.others_memory, self.memory

    @rule()
    def restarted(self) -> None:
        self.memory = Memory()

    # --- the security team -----------------------------------------------------------------------

    @rule(path=st.sampled_from(["db", "key"]), kind=st.sampled_from(["good"] * 3 + [POISON, LATE]))
    def rotate(self, path: str, kind: str) -> None:
        self.values += 1
        self.vault.write(path, f"{CANARY}-{self.values}" if kind == "good" else kind)

    @rule(path=st.sampled_from(["db", "key"]), kind=st.sampled_from(["good", POISON, LATE, FIRST]))
    def a_whole_rotation(self, path: str, kind: str) -> None:
        """One that is left in peace until it has ended, well or not."""
        self.rotate(path, kind)
        self.time_passes(12)

    @rule(path=st.sampled_from(["db", "key"]), back=st.integers(0, 2))
    def deleted(self, path: str, back: int) -> None:
        self.vault.delete(path, self.vault.current(path) - back)

    @rule(path=st.sampled_from(["db", "key"]), back=st.integers(0, 2))
    def undeleted(self, path: str, back: int) -> None:
        self.vault.undelete(path, self.vault.current(path) - back)

    @rule(path=st.sampled_from(["db", "key"]), back=st.integers(0, 2))
    def destroyed(self, path: str, back: int) -> None:
        self.vault.destroy(path, self.vault.current(path) - back)

    @rule(path=st.sampled_from(["db", "key"]), again=st.booleans())
    def gone(self, path: str, again: bool) -> None:
        """I12: what is written there next is another life of the path."""
        self.vault.delete_metadata(path)
        if again:
            self.rotate(path, "good")

    @rule(times=st.integers(1, 3))
    def away(self, times: int) -> None:
        """I9: nothing is made and nothing goes while Vault does not answer."""
        self.vault.away = True
        before = len(self.swarm.writes)
        for _ in range(times):
            self.swarm.tick()
            self.cycle()
        made = [w for w in self.swarm.writes[before:] if w.startswith(("create", "remove"))]
        assert made == []
        self.vault.away = False

    @rule(after=st.integers(0, 4), unseen=st.integers(0, 3))
    def the_engine_restarts(self, after: int, unseen: int) -> None:
        self.engine_restarts(after, unseen)

    # --- machines --------------------------------------------------------------------------------

    @rule(node=st.sampled_from(["n2", "n3"]))
    def a_node_dies(self, node: str) -> None:
        self.swarm.node_down(node)

    @rule(node=st.sampled_from(["n2", "n3"]))
    def a_node_comes_back(self, node: str) -> None:
        self.swarm.node_up(node)

    # --- operators and others --------------------------------------------------------------------

    @rule(name=st.sampled_from(["db", "key"]), form=st.sampled_from([Format.RAW, Format.JSON]))
    def configured_anew(self, name: str, form: Format) -> None:
        """The content changes; the version that is there waits for ``resync``, or for the next."""
        content = Content(format=form, field="password" if form == Format.RAW else None)
        changed = (
            replace(s, content=content) if s.name == name else s for s in self.desired.secrets
        )
        self.desired = replace(self.desired, secrets=tuple(changed))

    @rule(
        name=st.sampled_from(["db", "key"]),
        do=st.sampled_from(["rollback", "retry", "resume", "resync"]),
    )
    def wish(self, name: str, do: str) -> None:
        operator = Operator(cast("Swarm", self.swarm), self.desired, clock=self.clock)
        ask: Callable[..., str] = getattr(operator, do)
        with contextlib.suppress(WishRefused):
            _ = ask(name, None, "") if do == "rollback" else ask(name, "")

    @rule(name=st.sampled_from(["", "db", "key"]))
    def pause(self, name: str) -> None:
        Operator(cast("Swarm", self.swarm), self.desired, clock=self.clock).pause(name, "")

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

    @rule(
        name=st.sampled_from(list(NAMES)),
        replicas=st.integers(0, 3),
        away=st.sampled_from([0, 1, 8]),
        same=st.booleans(),
    )
    def deployed_again(self, name: str, replicas: int, away: int, same: bool) -> None:
        """A stack is removed and deployed again: nothing of a service is left but its name."""
        (self.ids[name],) = self.deploy_again([self.ids[name]], replicas, away, same=same)
        self.keep_frames()

    @rule(path=st.sampled_from(["db", "key"]), replicas=st.integers(0, 3), same=st.booleans())
    def all_deployed_again_after_a_rollback(self, path: str, replicas: int, same: bool) -> None:
        """What an operator went back to has no user for a while."""
        self.a_whole_rotation(path, "good")
        self.wish(path, "rollback")
        self.time_passes(8)
        made = self.deploy_again(list(self.ids.values()), replicas, 4, same=same)
        self.ids.update(zip(self.ids, made, strict=True))
        self.keep_frames()

    @rule(name=st.sampled_from(list(NAMES)))
    def falls_ill(self, name: str) -> None:
        self.swarm.sick.add(name)

    @precondition(lambda self: self.swarm.sick)
    @rule()
    def all_are_cured(self) -> None:
        self.swarm.sick.clear()

    @rule(name=st.sampled_from(list(NAMES)), image=st.booleans())
    def cannot_be_started(self, name: str, image: bool) -> None:
        """No node takes its tasks, or its image is on none."""
        (self.swarm.imageless if image else self.swarm.unplaced).add(name)

    @rule(name=st.sampled_from(list(NAMES)), times=st.integers(1, 2))
    def a_rotation_that_cannot_be_started(self, name: str, times: int) -> None:
        """Left in peace for longer than the time-out."""
        self.swarm.unplaced.add(name)
        for _ in range(times):
            self.rotate("db" if "db" in NAMES[name] else "key", "good")
            self.time_passes(15)

    @rule(name=st.sampled_from(list(NAMES)))
    def an_image_goes_missing(self, name: str) -> None:
        """Swarm rolls a service back that was well: its new tasks are never started."""
        self.swarm.sick.discard(name)
        self.swarm.unplaced.discard(name)
        self.swarm.imageless.discard(name)
        self.swarm.edit(
            self.ids[name], lambda spec: spec["UpdateConfig"].update(FailureAction="rollback")
        )
        self.keep_frames()
        self.time_passes(8)
        self.swarm.imageless.add(name)
        self.rotate("db" if "db" in NAMES[name] else "key", "good")
        self.time_passes(8)

    @precondition(lambda self: self.swarm.unplaced or self.swarm.imageless)
    @rule()
    def all_can_be_started(self) -> None:
        self.swarm.unplaced.clear()
        self.swarm.imageless.clear()

    def keep_frames(self) -> None:
        """Remember what of each spec is not ours to change."""
        for raw in self.swarm.services():
            known = self.frames.setdefault(raw["Spec"]["Name"], {})
            for spec in (raw["Spec"], raw.get("PreviousSpec")):
                if spec:
                    known[repr(frame(spec))] = frame(spec)

    def an_update_is_sent(self, service_id: str, before: Json, after: Json) -> None:
        """Judge an update before it is carried out."""

    def a_version_is_removed(self, secret_id: str) -> None:
        """Judge a removal before it is carried out."""


def secrets(spec: Json) -> list[Json]:
    """Return the secret references of a service's spec."""
    template: Any = spec.get("TaskTemplate") or {}
    return (template.get("ContainerSpec") or {}).get("Secrets") or []


def ids(spec: Json) -> frozenset[str]:
    """Return the ids of the secrets that a spec refers to."""
    return frozenset(ref["SecretID"] for ref in secrets(spec))


def frame(spec: Json) -> Json:
    """Return all of a spec that is never ours to change."""
    container = {k: v for k, v in spec["TaskTemplate"]["ContainerSpec"].items() if k != "Secrets"}
    labels = {key: value for key, value in spec["Labels"].items() if key != WOKEN}
    return {**spec, "Labels": labels, "TaskTemplate": {"ContainerSpec": container}}
