"""Each act becomes a record that names what it was about, and nothing that is secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.evidence.acts import Author, acts_of, is_recorded
from bridge.model.actions import (
    Action,
    Annotate,
    NoteState,
    RollService,
    Tend,
    TendGeneration,
    WakeUpdater,
)
from bridge.model.labels import GOOD
from bridge.model.memory import Outcome, Result
from bridge.model.reasons import Reason
from bridge.model.set_aside import By, SetAside
from bridge.model.spec import Swap
from bridge.model.wishes import Do, Wish
from bridge.model.world import World
from tests.support.builders import (
    NOW,
    ROLE,
    document,
    generation_secret,
    leased_world,
    minted,
    secret_of,
    service_of,
    world_of,
)

AUTHOR = Author("default", "manager-1")
ROLL: dict[str, Any] = {
    "service_id": "id-api",
    "service_name": "api",
    "template": "t",
    "why": "w",
}


def _records(action: Action, world: World, result: Result = Result.DONE) -> list[dict[str, Any]]:
    return list(acts_of(Outcome(action, result), AUTHOR, world, NOW))


def _swap(secret: str = "db", to: int = 2, left: int = 1) -> Swap:
    return Swap(
        secret=secret,
        to_id=f"id-{secret}_v{to}",
        to_name=f"{secret}_v{to}",
        from_name=f"{secret}_v{left}",
        replaces=frozenset({f"id-{secret}_v{left}"}),
    )


def _world(**more: Any) -> World:
    secrets = [secret_of(1), secret_of(2), secret_of(1, name="key")]
    secrets += [secret_of(2, name="key")]
    return world_of(document(2), secrets, [service_of("api", "db_v1", desired_tasks=2)], **more)


def test_a_roll_has_a_record_for_each_secret_with_versions_as_numbers() -> None:
    roll = RollService(**ROLL, swaps=(_swap(), _swap("key")), reason=Reason.NEW_VERSION)
    first, second = _records(roll, _world())
    assert (first["act"], first["secret"], first["former"], first["version"]) == (
        "rolling",
        "db",
        1,
        2,
    )
    assert first["asked_by"]["kind"] == "vault"
    assert first["tasks"] == [{"service": "api", "node": "", "version": 1, "tasks": 2}]
    assert second["secret"] == "key"
    assert first["rotation"].startswith("db@2-")


def test_a_roll_that_goes_back_belongs_to_the_version_that_it_leaves() -> None:
    roll = RollService(**ROLL, swaps=(_swap(to=1, left=2),), reason=Reason.GOING_BACK)
    (record,) = _records(roll, _world())
    assert (record["act"], record["former"], record["version"]) == ("rolling_back", 2, 1)
    assert record["rotation"].startswith("db@2-")
    assert record["asked_by"] == {"kind": "bridge"}


def test_one_that_an_operator_wanted_names_the_operator() -> None:
    aside = SetAside(By.OPERATOR, "t", "an operator rolled back: it leaked").write()
    secrets = [secret_of(1), secret_of(2, labels={"vault-bridge.aside": aside})]
    world = world_of(document(2), secrets, [service_of("api", "db_v2")])
    roll = RollService(**ROLL, swaps=(_swap(to=1, left=2),), reason=Reason.GOING_BACK)
    (record,) = _records(roll, world)
    assert record["asked_by"]["reason"] == "an operator rolled back: it leaked"


def test_a_wish_is_named_with_who_why_and_when() -> None:
    wish = Wish(do=Do.ROTATE, at="t", why="it leaked", by="alice@desk")
    world = leased_world([generation_secret(1)], wishes={"db": wish})
    (record,) = _records(minted(Reason.ROTATION_ASKED), world)
    asked = {"command": "rotate", "name": "alice@desk", "reason": "it leaked", "at": "t"}
    assert record["asked_by"] == {"kind": "operator", **asked}
    assert record["version"] == 2
    assert record["rotation"].startswith("db@2-")


@pytest.mark.parametrize("step", list(Tend))
def test_no_record_has_a_lease_s_id_or_an_accessor(step: Tend) -> None:
    secret = generation_secret(1)
    world = leased_world([secret], [service_of("api", "db_v1")])
    action = TendGeneration(
        secret="db",
        secret_id=secret.id,
        docker_name=secret.name,
        step=step,
        reason=Reason.RETIRING,
        why="w",
    )
    routine = step in (Tend.RENEW_LEASE, Tend.RENEW_CUSTODY)
    records = _records(action, world)
    assert len(records) == (0 if routine else 1)
    records += _records(action, world, Result.FAILED)
    assert "accessor-db-1" in str(secret.labels)
    text = json.dumps(records)
    assert "accessor-db" not in text
    assert ROLE.lease_prefix not in text
    assert records[-1]["version"] == 1


def test_what_only_the_bridge_reads_is_not_recorded() -> None:
    note = NoteState("db", {}, {}, Reason.NEW_VERSION, "it is new")
    assert not is_recorded(Outcome(note, Result.DONE))
    assert is_recorded(Outcome(note, Result.FAILED))
    wish = NoteState("db", {}, {}, Reason.WISHED, "retry is carried out")
    assert is_recorded(Outcome(wish, Result.DONE))
    assert not is_recorded(Outcome(wish, Result.MOVED))


def test_the_end_of_a_rotation_names_every_task_of_every_service() -> None:
    services = [service_of("api", "db_v2"), service_of("web", "db_v2", desired_tasks=3)]
    world = world_of(document(2), [secret_of(1), secret_of(2)], services)
    good = Annotate(
        secret="db",
        secret_id="id-db_v2",
        docker_name="db_v2",
        reason=Reason.CONVERGED,
        why="w",
        put={GOOD: "t"},
    )
    (record,) = _records(good, world)
    assert [(row["service"], row["tasks"]) for row in record["tasks"]] == [("api", 1), ("web", 3)]


def test_an_updater_that_is_woken_belongs_to_no_version_where_no_roll_is_open() -> None:
    wake = WakeUpdater(**ROLL, token="2", reason=Reason.NODE_LOST)
    (record,) = _records(wake, _world())
    assert record["service"] == "api"
    assert "version" not in record
