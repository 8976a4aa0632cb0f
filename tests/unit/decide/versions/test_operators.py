"""What operators wish, as marks: whatever follows is decided as for any other mark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.model.actions import Annotate, NoteState, RemoveSecret, RollService
from bridge.model.desired import FileFields
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import Kind, UpdateState
from bridge.model.set_aside import By, SetAside
from bridge.model.vault_view import KvDocument
from bridge.model.wishes import (
    Do,
    FieldsWish,
    Pause,
    Wish,
    pause_label,
    read_fields,
    read_pauses,
    read_wishes,
)
from tests.support.builders import (
    NOW,
    desired_of,
    document,
    plan_of,
    reference,
    secret_of,
    service_of,
    wanted,
    world_of,
)

GOOD = {"vault-bridge.good": "t"}
OPERATOR = {"vault-bridge.aside": SetAside(By.OPERATOR, "t", "because").write()}
FAILED = {"vault-bridge.aside.id-api": SetAside(By.FAILURE, "t", "died").write()}


def plan(
    *labels: dict[str, str], on: str = "db_v3", vault: KvDocument | None = None, **more: Any
) -> Plan:
    """Plan for three versions of ``db`` with labels of their own, and a service on one."""
    secrets = [secret_of(n + 1, labels={**GOOD, **label}) for n, label in enumerate(labels)]
    world = world_of(vault or document(len(labels)), secrets, [service_of("api", on)], **more)
    return plan_of(desired_of("api"), world)


def wish(do: Do, **more: Any) -> dict[str, Any]:
    """Return what the state config has."""
    return {"wishes": {"db": Wish(do=do, at="t", **more)}}


def actions(planned: Plan) -> list[Any]:
    """Return all actions of a plan."""
    return [action for chain in planned.chains for action in chain]


def marked(planned: Plan) -> set[str]:
    """Return the Docker secrets that a plan sets aside for all."""
    return {
        a.docker_name
        for a in actions(planned)
        if isinstance(a, Annotate) and "vault-bridge.aside" in a.put
    }


def test_rollback_sets_all_aside_that_is_newer_and_takes_the_wish_back() -> None:
    """In one chain, the wish last: carried out twice is as once."""
    planned = plan({}, {}, {}, **wish(Do.ROLLBACK, to=1, why="it leaks"))
    assert marked(planned) == {"db_v2", "db_v3"}
    *_, last = planned.chains[0]
    assert isinstance(last, NoteState)
    assert list(last.drop) == ["vault-bridge.wish.db"]
    assert "it leaks" in planned.chains[0][0].why
    again = plan({}, OPERATOR, OPERATOR, **wish(Do.ROLLBACK, to=1))
    assert not marked(again)
    assert isinstance(again.chains[0][-1], NoteState)


def test_rollback_to_what_is_set_aside_uses_it_again() -> None:
    planned = plan(FAILED, {}, {}, **wish(Do.ROLLBACK, to=1))
    notes = [a for a in actions(planned) if isinstance(a, Annotate) and a.docker_name == "db_v1"]
    assert any(note.drop == FAILED.keys() for note in notes)
    assert marked(planned) == {"db_v2", "db_v3"}


def test_nothing_is_rolled_to_what_is_set_aside_in_the_same_cycle() -> None:
    planned = plan({}, {}, {}, on="db_v1", **wish(Do.ROLLBACK, to=1))
    assert not [a for a in actions(planned) if isinstance(a, RollService)]
    assert not planned.finished


def test_what_is_set_aside_by_an_operator_is_left_and_stays_left() -> None:
    planned = plan({}, OPERATOR, OPERATOR)
    (roll,) = [a for a in actions(planned) if isinstance(a, RollService)]
    assert (roll.reason, roll.swaps[0].to_name) == (Reason.GOING_BACK, "db_v1")
    there = plan({}, OPERATOR, OPERATOR, on="db_v1")
    assert not actions(there)
    assert there.conditions[0].reason == Reason.SET_ASIDE
    newer = plan({}, OPERATOR, OPERATOR, {}, on="db_v1")
    (roll,) = [a for a in actions(newer) if isinstance(a, RollService)]
    assert roll.swaps[0].to_name == "db_v4"


@pytest.mark.parametrize(
    ("wished", "vault", "words"),
    [
        (wish(Do.ROLLBACK, to=7), document(3), "version 7 is not mirrored"),
        (wish(Do.ROLLBACK, to=3), document(3, destroyed=True), "destroyed in Vault"),
        (wish(Do.FORGET), document(3), "is in the configuration"),
        (wish(Do.ROTATE), document(3), "db is no leased credential: write a new version to"),
    ],
)
def test_what_cannot_be_done_is_refused_and_the_reason_kept(
    wished: Any, vault: KvDocument, words: str
) -> None:
    planned = plan({}, {}, {}, vault=vault, **wished)
    (note,) = [a for a in actions(planned) if isinstance(a, NoteState)]
    refused = Wish.read(note.put["vault-bridge.wish.db"])
    assert refused
    assert words in refused.refused
    after = plan({}, {}, {}, vault=vault, wishes={"db": refused})
    assert not [a for a in actions(after) if isinstance(a, NoteState)]
    assert Reason.WISH_REFUSED in {hold.reason for hold in after.holds}


def test_retry_and_resume_drop_their_own_marks_only() -> None:
    labels: tuple[dict[str, str], ...] = ({}, FAILED, OPERATOR)
    for do, name in ((Do.RETRY, "db_v2"), (Do.RESUME, "db_v3")):
        planned = plan(*labels, on="db_v1", **wish(do))
        notes = [a for a in planned.chains[0] if isinstance(a, Annotate)]
        assert [note.docker_name for note in notes] == [name]
        assert all(note.drop for note in notes)


def test_pause_holds_every_roll_and_nothing_else() -> None:
    """Of one secret or of all; forward and back; versions are mirrored all the same."""
    for name in ("", "db"):
        planned = plan({}, {}, {}, on="db_v1", pauses={name: Pause("t", "holidays")})
        assert not [a for a in actions(planned) if isinstance(a, RollService)]
        assert planned.conditions[0].reason == Reason.PAUSED
        assert "holidays" in planned.conditions[0].message
    at_rest = plan({}, {}, {}, pauses={"db": Pause("t", "holidays")})
    assert at_rest.conditions[0].reason == Reason.PAUSED  # whoever looks must know
    other = plan({}, {}, {}, on="db_v1", pauses={"other": Pause("t")})
    assert [a for a in actions(other) if isinstance(a, RollService)]
    new = plan({}, {}, vault=document(3), on="db_v1", pauses={"": Pause("t")})
    assert {type(a).__name__ for a in actions(new)} == {"CreateSecret"}


def test_a_lost_state_holds_and_never_unpauses() -> None:
    planned = plan({}, {}, {}, on="db_v1", has_state=False)
    assert not [a for a in actions(planned) if isinstance(a, RollService)]
    assert planned.conditions[0].reason == Reason.STATE_LOST
    assert planned.finished


def test_the_state_is_made_before_the_first_mirror() -> None:
    planned = plan_of(desired_of("api"), world_of(document(1), has_state=False))
    (chain,) = planned.chains
    assert [type(a).__name__ for a in chain] == ["NoteState", "CreateSecret"]


def test_forget_removes_what_nothing_refers_to_and_ends_when_all_is_gone() -> None:
    forget: dict[str, Any] = {"wishes": {"old": Wish(do=Do.FORGET, at="t")}}
    secrets = [secret_of(n, name="old") for n in (1, 2)]
    service = service_of("api", "old_v2")
    desired = desired_of(secrets=[wanted("db")])
    planned = plan_of(desired, world_of(document(0), secrets, [service], **forget))
    removed = [a.docker_name for a in actions(planned) if isinstance(a, RemoveSecret)]
    assert removed == ["old_v1"]
    assert not [a for a in actions(planned) if isinstance(a, NoteState)]
    gone = plan_of(desired, world_of(document(0), **forget))
    assert [type(a).__name__ for a in actions(gone)] == ["NoteState"]


def test_damaged_labels_hold_rather_than_let_go() -> None:
    labels = {"vault-bridge.pause": "{", pause_label("db"): "x", "vault-bridge.wish.db": "{"}
    assert read_pauses(labels).keys() == {"", "db"}
    assert read_wishes(labels) == {}


# --- file fields at once -------------------------------------------------------------------------

ONLY_OWNER = FileFields(mode=0o400)
AT_ONCE = {"fields": {"db": FieldsWish("t")}}


def fields(labels: dict[str, str] | None = None, more: Any = AT_ONCE, **service: Any) -> Plan:
    """Plan for a service whose file has another mode than the configuration asks for."""
    world = world_of(
        document(1),
        [secret_of(1, labels={**GOOD, **(labels or {})})],
        [service_of("api", "db_v1", **service)],
        **more,
    )
    return plan_of(desired_of(secrets=[wanted("db", "api", file=ONLY_OWNER)]), world)


def test_file_fields_wait_for_the_next_roll_unless_an_operator_wants_them_now() -> None:
    """The wish stays until no service differs any more, and is over then."""
    assert not actions(fields(more={}))
    (roll,) = [a for a in actions(fields()) if isinstance(a, RollService)]
    assert (roll.reason, roll.swaps[0].changes) == (
        Reason.FIELDS_CHANGED,
        ("mode 0444 -> 0400",),
    )
    assert not [a for a in actions(fields()) if isinstance(a, NoteState)]
    there = replace(reference("db_v1"), mode=0o400)
    open_roll = RollRecord(
        before=(reference("db_v1").write(),), index=9, at="t", started=NOW - 10
    ).write()
    rolling = fields({"vault-bridge.roll.id-api": open_roll}, references=(there,))
    assert not [a for a in actions(rolling) if isinstance(a, NoteState)]
    (note,) = actions(fields(references=(there,)))
    assert list(note.drop) == ["vault-bridge.fields.db"]
    assert note.reason == Reason.WISHED


def test_file_fields_that_the_configuration_applies_at_once_need_no_wish() -> None:
    world = world_of(document(1), [secret_of(1, labels=GOOD)], [service_of("api", "db_v1")])
    desired = desired_of(secrets=[wanted("db", "api", file=ONLY_OWNER)])
    assert not actions(plan_of(desired, world))
    (roll,) = [
        a
        for a in actions(plan_of(replace(desired, apply_fields=True), world))
        if isinstance(a, RollService)
    ]
    assert roll.swaps[0].changes == ("mode 0444 -> 0400",)


def test_a_pause_holds_file_fields_and_the_wish_stays() -> None:
    planned = fields(more={**AT_ONCE, "pauses": {"": Pause("t")}})
    assert not actions(planned)
    assert [hold.reason for hold in planned.holds] == [Reason.PAUSED]


def test_what_is_never_rolled_keeps_no_wish_alive() -> None:
    """Of a job the file fields differ for ever; that is held, and asked for once."""
    (note,) = actions(fields(kind=Kind.JOB))
    assert isinstance(note, NoteState)
    assert note.drop


def test_file_fields_that_swarm_rolled_back_are_not_tried_again() -> None:
    """The version is good, so that nothing else would end it; repeating the wish tries again."""
    record = RollRecord(
        before=(reference("db_v1").write(),), index=9, at="t", started=NOW - 100
    ).write()
    service = {"update": UpdateState.ROLLBACK_COMPLETED, "update_message": "task failed"}
    labels = {"vault-bridge.roll.id-api": record}
    planned = fields(labels, **service)
    assert not [a for a in actions(planned) if isinstance(a, RollService)]
    (note,) = [a for a in actions(planned) if isinstance(a, NoteState)]
    refused = read_fields(note.put)["db"]
    assert "task failed" in refused.refused
    after = fields(labels, {"fields": {"db": refused}}, **service)
    assert not [a for a in actions(after) if isinstance(a, RollService | NoteState)]
    assert Reason.WISH_REFUSED in {hold.reason for hold in after.holds}
    done = {"vault-bridge.roll.id-api": RollRecord(before=(), index=9, at="t", done="t").write()}
    again = fields(done, **service)
    assert [a for a in actions(again) if isinstance(a, RollService)]


def test_a_damaged_wish_for_file_fields_is_none() -> None:
    labels = {"vault-bridge.fields.a": "{", "vault-bridge.fields.b": "[]"}
    assert read_fields(labels) == {}
