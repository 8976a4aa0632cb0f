"""A record is written before the next act, its head once a cycle, and nothing where nothing is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import SwarmUnreachable, VaultUnreachable
from bridge.evidence.acts import Author
from bridge.evidence.auditor import Auditor, held_back
from bridge.evidence.chain import verify
from bridge.evidence.reading import lines_of
from bridge.model.actions import CreateSecret, Tend, TendGeneration
from bridge.model.audit_head import AUDIT, AuditHead
from bridge.model.memory import Outcome, Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.settings import AuditSettings, TransitKey
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import VaultView
from bridge.model.wishes import Approval, Do, Pause, Wish
from bridge.model.world import World
from tests.support.builders import NOW, PATH, document, identity, wanted

CREATE = CreateSecret(
    secret="db",
    identity=identity(2),
    content=wanted("db").content,
    docker_name="db_v2",
    labels={},
    reason=Reason.NEW_VERSION,
    why="Vault has a newer version",
)
RENEW = TendGeneration(
    secret="db",
    secret_id="id1",
    docker_name="db_v1",
    step=Tend.RENEW_LEASE,
    reason=Reason.LEASE_KEPT,
    why="its time has come",
)
ACTS = Plan(chains=((CREATE,), (RENEW,)), holds=(), conditions=())
NOTHING = Plan(chains=(), holds=(), conditions=())


class _Scene:
    """An auditor, with the swarm's head and Vault's signatures in memory."""

    def __init__(self, file: Path, **settings: Any) -> None:
        self.file = file
        self.settings = AuditSettings(str(file), **settings)
        self.now = NOW
        self.labels: dict[str, str] = {}
        self.writes = self.signings = 0
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.swarm_down = self.vault_down = self.stopped = False
        self.view = SwarmView(as_of=NOW, secrets=(), services=(), tasks=())
        self.auditor = self.make()

    def make(self, bridge: str = "manager-1") -> Auditor:
        return Auditor(
            self.settings,
            Author("default", bridge),
            write_head=self.write_head,
            signer=self,
            log=self,
            clock=lambda: self.now,
        )

    def write_head(self, put: dict[str, str]) -> None:
        if self.swarm_down:
            raise SwarmUnreachable("away")
        self.writes += 1
        self.labels |= put

    def sign(self, key: TransitKey, text: str) -> str:
        self.signings += 1
        if self.vault_down:
            raise VaultUnreachable("sealed")
        return f"vault:v1:{text[:8]}"

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    warning = error = info

    @property
    def head(self) -> AuditHead | None:
        return AuditHead.read(self.labels[AUDIT]) if AUDIT in self.labels else None

    def cycle(self, *actions: CreateSecret, **changes: Any) -> Plan:
        """Run a cycle in which some actions are done."""
        self.view = replace(self.view, audit=self.head, **changes)
        world = World(VaultView(as_of=NOW, paths={PATH: document(2)}), self.view)
        plan = self.auditor.begin(world, ACTS if actions else NOTHING)
        for action in actions:
            if (action,) in plan.chains and not self.auditor.stops:
                self.auditor.tell(Outcome(action, Result.DONE))
        self.stopped = self.auditor.stops
        self.auditor.end()
        return plan

    def records(self) -> list[Mapping[str, Any]]:
        with self.file.open() as stream:
            verdict = verify(lines_of("f", stream), self.head)
        assert verdict.faults == ()
        return list(verdict.records)

    def events(self) -> list[str]:
        return [event for event, _ in self.lines if event != "audit"]


@pytest.fixture
def scene(tmp_path: Path) -> _Scene:
    """Return an auditor with a file."""
    return _Scene(tmp_path / "audit.jsonl")


def test_a_record_for_each_act_and_one_write_of_the_head_in_a_cycle(scene: _Scene) -> None:
    scene.cycle(CREATE, CREATE)
    assert [record["act"] for record in scene.records()] == ["leads", "mirrored", "mirrored"]
    assert scene.writes == 1
    record = scene.records()[1]
    assert record["asked_by"]["version"] == 2
    assert record["rotation"].startswith("db@2-")
    logged = [fields["record"] for event, fields in scene.lines if event == "audit"]
    assert logged == scene.records()
    scene.cycle()
    assert scene.writes == 1


def test_where_nothing_is_asked_for_nothing_is_done() -> None:
    auditor = Auditor(
        None,
        Author("default", "b"),
        write_head=lambda _: pytest.fail("it was written"),
        signer=None,
        log=None,
        clock=lambda: NOW,
    )
    world = World(
        VaultView(as_of=NOW, paths={}), SwarmView(as_of=NOW, secrets=(), services=(), tasks=())
    )
    assert auditor.begin(world, ACTS) is ACTS
    auditor.tell(Outcome(CREATE, Result.DONE))
    auditor.end()
    assert auditor.blocked == ""


def test_evidence_that_is_not_asked_for_any_more_holds_nothing(scene: _Scene) -> None:
    held = AuditHead(seq=3, trouble="full", holds=True)
    scene.labels = {AUDIT: held.write()}
    scene.settings = None  # type: ignore[assignment]
    scene.auditor = scene.make()
    scene.cycle(CREATE)
    assert scene.head == AuditHead(seq=3)
    scene.cycle(CREATE)
    assert scene.writes == 1


def test_an_idle_bridge_writes_nothing(scene: _Scene) -> None:
    scene.cycle()
    assert (scene.writes, scene.lines, scene.file.exists()) == (0, [], False)


def test_the_next_bridge_goes_on_with_the_chain(scene: _Scene) -> None:
    scene.cycle(CREATE)
    scene.auditor = scene.make("manager-2")
    scene.cycle(CREATE)
    assert [r["seq"] for r in scene.records()] == [1, 2, 3, 4]
    assert scene.records()[-1]["bridge"] == "manager-2"


def test_one_that_was_killed_before_it_wrote_the_head_goes_on_from_its_file(scene: _Scene) -> None:
    scene.swarm_down = True
    scene.cycle(CREATE)
    assert scene.head is None
    scene.swarm_down = False
    scene.auditor = scene.make()
    scene.cycle(CREATE)
    assert [r["seq"] for r in scene.records()] == [1, 2, 3, 4]


def test_a_lost_lead_goes_on_from_the_swarm(scene: _Scene) -> None:
    scene.cycle(CREATE)
    scene.auditor.forget()
    scene.cycle(CREATE)
    assert [r["act"] for r in scene.records()] == ["leads", "mirrored", "leads", "mirrored"]


@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_file_that_ends_too_early_is_reported_at_the_start(scene: _Scene, how: str) -> None:
    scene.cycle(CREATE)
    if how == "cut":
        first = scene.file.read_text().splitlines(keepends=True)[0]
        scene.file.write_text(first)
    else:
        scene.file.unlink()
    scene.auditor = scene.make()
    scene.cycle(CREATE)
    assert scene.events() == ["audit_gap"]


def test_a_file_that_was_rotated_goes_on_with_the_chain(scene: _Scene) -> None:
    scene.cycle(CREATE)
    scene.file.rename(scene.file.with_suffix(".1"))
    scene.cycle(CREATE)
    texts = [scene.file.with_suffix(".1").read_text(), scene.file.read_text()]
    lines = [line for text in texts for line in lines_of("f", text.splitlines())]
    assert verify(lines, scene.head).faults == ()


@pytest.mark.parametrize("hold", [False, True])
def test_a_file_that_cannot_be_written(scene: _Scene, *, hold: bool) -> None:
    scene.settings = AuditSettings(str(scene.file.parent / "none" / "audit.jsonl"), hold)
    scene.file = Path(scene.settings.file)
    scene.auditor = scene.make()
    plan = scene.cycle(CREATE)
    assert scene.events() == ["audit_unwritable"]
    if hold:
        assert plan.chains == ((RENEW,),)  # leases are kept alive
        assert [h.reason for h in plan.holds] == [Reason.AUDIT_UNWRITABLE]
    else:
        assert plan is ACTS
    head = scene.head
    assert head is not None
    assert (bool(head.trouble), head.holds) == (True, hold)
    scene.file.parent.mkdir()
    scene.cycle(CREATE)
    assert scene.events() == ["audit_unwritable", "audit_writable"]
    assert scene.head == replace(scene.head or AuditHead(), trouble="", holds=False)
    acts = [record["act"] for record in scene.records()]
    assert acts == (["leads", "mirrored"] if hold else ["leads", "mirrored", "mirrored"])


def test_what_is_under_way_stops_and_renewals_go_on(scene: _Scene) -> None:
    """A lease that nobody renews is an outage: what holds acts must not hold those."""
    scene.settings = AuditSettings(str(scene.file), hold=True)
    scene.auditor = scene.make()
    scene.cycle(CREATE)
    scene.file.rename(scene.file.with_suffix(".1"))
    scene.file.mkdir()  # the disk is full in the middle of a cycle
    scene.cycle(CREATE)
    assert scene.stopped
    plan = scene.cycle(CREATE)
    assert plan.chains == ((RENEW,),)
    assert not scene.stopped


def test_what_is_held_back_is_tried_again_soon() -> None:
    held = held_back(replace(ACTS, wake_at=NOW + 60), "why", NOW)
    assert held.wake_at == NOW + 5
    assert held_back(held, "why", NOW).holds == held.holds


def test_signatures_after_some_records_and_after_some_time(tmp_path: Path) -> None:
    key = TransitKey(mount="transit", key="audit", every=3, interval=60.0)
    scene = _Scene(tmp_path / "audit.jsonl", transit=key)
    scene.cycle(CREATE)
    assert "signed" not in [r["act"] for r in scene.records()]
    scene.now += 59
    scene.cycle()
    assert "signed" not in [r["act"] for r in scene.records()]
    scene.now += 2
    scene.cycle()
    assert scene.records()[-1]["act"] == "signed"
    scene.now += 1000
    scene.cycle()
    assert len(scene.records()) == 3  # nothing is left to sign
    scene.cycle(CREATE, CREATE, CREATE)
    assert scene.records()[-1]["act"] == "signed"
    assert scene.records()[-1]["key"] == "transit/audit"
    assert scene.head
    assert scene.head.signed == 7


def test_vault_away_holds_nothing_up_and_is_asked_again(tmp_path: Path) -> None:
    key = TransitKey(mount="transit", key="audit", every=1, interval=60.0)
    scene = _Scene(tmp_path / "audit.jsonl", transit=key)
    scene.vault_down = True
    scene.cycle(CREATE)
    scene.cycle(CREATE)
    assert scene.events() == ["audit_unsigned"]
    assert len(scene.records()) == 3
    assert scene.signings == 1  # a Vault that hangs must not hold up each cycle
    scene.now -= 86400  # nor a clock that is set back the next try
    scene.cycle()
    scene.vault_down = False
    scene.now += 61
    scene.cycle()
    assert scene.records()[-1]["act"] == "signed"


def test_what_operators_ask_for_is_recorded_once(scene: _Scene) -> None:
    scene.cycle(CREATE)
    wish = Wish(do=Do.RETRY, at="2027-01-15T08:00:01Z", why="cured", by="alice@desk")
    pauses = {"db": Pause("2027-01-15T08:00:02Z", "freeze", "bob@desk")}
    approvals = {"db": Approval(2, "c", "2027-01-15T08:00:03Z", "fine", "carol@desk")}
    scene.cycle(wishes={"db": wish}, pauses=pauses, approvals=approvals)
    scene.cycle()
    scene.cycle(pauses={})
    asked = [r["asked_by"] for r in scene.records() if r["act"] == "asked"]
    assert [(by["command"], by.get("name")) for by in asked] == [
        ("retry", "alice@desk"),
        ("pause", "bob@desk"),
        ("approve", "carol@desk"),
        ("resume", None),
    ]


def test_what_was_asked_while_no_bridge_ran_is_recorded(scene: _Scene) -> None:
    scene.cycle(CREATE)
    assert scene.head
    scene.auditor = scene.make()
    old, new = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
    scene.cycle(pauses={"db": Pause(new, "freeze"), "old": Pause(old), "odd": Pause("t")})
    assert [r["secret"] for r in scene.records() if r["act"] == "asked"] == ["db"]


@pytest.mark.parametrize(
    ("result", "recorded"),
    [
        (Result.DONE, False),
        (Result.MOVED, False),
        (Result.FAILED, True),
    ],
)
def test_renewals_are_recorded_where_they_fail(
    scene: _Scene, result: Result, *, recorded: bool
) -> None:
    scene.cycle(CREATE)
    scene.auditor.tell(Outcome(RENEW, result, "no answer"))
    assert (len(scene.records()) == 3) == recorded


def test_a_torn_line_is_followed_by_the_whole_one(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full in the middle of a line: nothing is removed, and nothing is lost."""
    scene.cycle(CREATE)
    real = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) < 60:
            raise OSError(28, "No space left on device")
        return real(file, data[:50])

    monkeypatch.setattr(os, "write", half)
    scene.cycle(CREATE)
    monkeypatch.undo()
    assert scene.events() == ["audit_unwritable"]
    scene.cycle()
    assert scene.events() == ["audit_unwritable", "audit_writable"]
    assert len(scene.records()) == 3
    assert json.loads(scene.file.read_text().splitlines()[-1])["seq"] == 3


def logged(scene: _Scene) -> list[str]:
    """Return what the log has of the records, as lines."""
    return [json.dumps(fields["record"]) for event, fields in scene.lines if event == "audit"]


def in_the_log(folder: Path) -> _Scene:
    """Return an auditor that has no file."""
    scene = _Scene(folder / "none")
    scene.settings = AuditSettings("")
    scene.auditor = scene.make()
    return scene


def test_a_lead_that_was_lost_before_the_head_was_written_goes_on_from_its_own_end(
    tmp_path: Path,
) -> None:
    """The manager goes away in the middle of a cycle; no other bridge has led when it is back."""
    scene = in_the_log(tmp_path)
    scene.cycle(CREATE)
    scene.swarm_down = True
    scene.cycle(CREATE)
    scene.swarm_down = False
    scene.auditor.forget()
    scene.cycle(CREATE)
    found = verify(lines_of("log", logged(scene)), scene.head)
    assert (found.faults, found.notes) == ((), ())
    assert [r["seq"] for r in found.records] == [1, 2, 3, 4, 5]


def test_a_bridge_that_is_killed_before_it_wrote_the_head_is_no_tampering(tmp_path: Path) -> None:
    """Where there is only the log, nobody can go on from its last records."""
    scene = in_the_log(tmp_path)
    scene.cycle(CREATE)
    scene.swarm_down = True
    scene.cycle(CREATE)
    scene.swarm_down = False
    scene.auditor = scene.make()
    pause = Pause("2099-01-01T00:00:00Z", "freeze")
    scene.cycle(CREATE, pauses={"db": pause})
    found = verify(lines_of("log", logged(scene)), scene.head)
    assert found.faults == ()
    assert len(found.notes) == 1
    assert [r["act"] for r in found.records][-2:] == ["asked", "mirrored"]


def test_a_file_that_ends_beside_the_chain_is_not_gone_on_from(scene: _Scene) -> None:
    """One host was killed, another one has led since, and the first one leads again."""
    scene.cycle(CREATE)
    scene.swarm_down = True
    scene.cycle(CREATE, CREATE, CREATE)
    scene.swarm_down = False
    first, second = scene.file, scene.file.with_name("other.jsonl")
    scene.settings = AuditSettings(str(second))
    scene.auditor = scene.make("manager-2")
    scene.cycle(CREATE)
    assert scene.head
    assert scene.head.seq == 4
    scene.settings = AuditSettings(str(first))
    scene.auditor = scene.make()
    scene.cycle(CREATE)
    assert scene.head.seq == 6
    assert scene.events() == []
    texts = [file.read_text() for file in (first, second)]
    lines = [line for text in texts for line in lines_of("f", text.splitlines())]
    found = verify(lines, scene.head)
    assert found.faults == ()
    assert len(found.notes) == 3


def test_a_lost_lead_while_records_wait_for_the_disk_is_no_gap(scene: _Scene) -> None:
    scene.cycle(CREATE)
    kept = scene.file.rename(scene.file.with_suffix(".kept"))
    scene.file.mkdir()
    scene.cycle(CREATE)
    scene.file.rmdir()
    kept.rename(scene.file)
    scene.auditor.forget()
    scene.cycle(CREATE)
    assert scene.events() == ["audit_unwritable", "audit_writable"]
    assert [r["seq"] for r in scene.records()] == [1, 2, 3, 4, 5]


def test_a_clock_that_is_set_back_delays_no_signature(tmp_path: Path) -> None:
    key = TransitKey(mount="transit", key="audit", every=9, interval=60.0)
    scene = _Scene(tmp_path / "audit.jsonl", transit=key)
    scene.cycle(CREATE)
    scene.now -= 86400
    scene.cycle()
    scene.now += 61
    scene.cycle()
    assert scene.records()[-1]["act"] == "signed"


@pytest.mark.parametrize("left", [False, True])
def test_a_start_after_the_file_was_rotated_is_no_gap(scene: _Scene, *, left: bool) -> None:
    """Nor is what the rotated file has lost where the swarm does not know of it yet."""
    scene.cycle(CREATE)
    scene.swarm_down = left
    scene.cycle(CREATE)
    scene.swarm_down = False
    rotated = scene.file.rename(scene.file.with_name(f"{scene.file.name}.1"))
    os.utime(rotated, (NOW, NOW))
    rotated.with_suffix(".2").write_text("{}\n")
    os.utime(rotated.with_suffix(".2"), (NOW - 9, NOW - 9))
    scene.auditor = scene.make()
    scene.cycle(CREATE)
    assert scene.events() == []
    texts = [rotated.read_text(), scene.file.read_text()]
    lines = [line for text in texts for line in lines_of("f", text.splitlines())]
    found = verify(lines, scene.head)
    assert (found.faults, found.notes) == ((), ())
    assert [r["seq"] for r in found.records] == [1, 2, 3, 4, 5]
