"""What may be carried out where another plan was reviewed, and what is held."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.decide.ahead import foresee
from bridge.decide.only_planned import as_reviewed, only_planned
from bridge.model.actions import (
    Annotate,
    MintGeneration,
    NoteState,
    RemoveSecret,
    RollService,
    Tend,
    TendGeneration,
    WakeUpdater,
)
from bridge.model.changes import ChangeKind
from bridge.model.desired import Rollout
from bridge.model.labels import GOOD
from bridge.model.memory import Memory
from bridge.model.plan_file import PlanFile, Planned
from bridge.model.reasons import Reason, State
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.vault_view import Unreadable
from bridge.model.world import World
from tests.support.builders import (
    BORN,
    NOW,
    ROLE,
    actions_of,
    desired_of,
    document,
    generation_secret,
    leased,
    leased_world,
    plan_of,
    secret_of,
    service_of,
    world_of,
)

DESIRED = desired_of("api", "worker")
SERVICES = [service_of(name, "db_v1") for name in ("api", "worker")]
BEFORE = world_of(document(2), [secret_of(1, labels={GOOD: BORN})], SERVICES)
MIRRORED = world_of(document(2), [secret_of(1, labels={GOOD: BORN}), secret_of(2)], SERVICES)


def _file(world: World) -> PlanFile:
    forecast = foresee(DESIRED, world, plan_of(DESIRED, world), Memory(), NOW)
    file = PlanFile.of(DESIRED.instance, DESIRED.digest, BORN, forecast.changes)
    assert PlanFile.read(file.write()) == file
    return file


FILE = _file(BEFORE)


def test_what_was_reviewed_goes_on_with_its_records_and_notes() -> None:
    plan = plan_of(DESIRED, BEFORE)
    assert only_planned(plan, BEFORE.swarm, FILE, ()) == plan
    plan = plan_of(DESIRED, MIRRORED)
    assert only_planned(plan, MIRRORED.swarm, FILE, ()) == plan
    assert actions_of(plan, RollService)
    assert actions_of(plan, Annotate)


def test_a_service_that_was_updated_since_is_held_with_its_record() -> None:
    touched = world_of(
        document(2), MIRRORED.swarm.secrets, [replace(SERVICES[0], index=11), SERVICES[1]]
    )
    plan = only_planned(plan_of(DESIRED, touched), touched.swarm, FILE, ())
    assert actions_of(plan, RollService) == []
    assert actions_of(plan, Annotate) == []
    (hold,) = [hold for hold in plan.holds if hold.reason == Reason.NOT_IN_PLAN]
    assert (hold.secret, hold.service) == ("db", "api")
    (condition,) = plan.conditions
    assert condition.services[0].state == State.HELD
    # Once the roll of the plan has begun, its index has changed by that.
    begun = only_planned(plan_of(DESIRED, touched), touched.swarm, FILE, {"id-api"})
    assert actions_of(begun, RollService)


def test_a_version_that_was_written_since_is_as_if_vault_did_not_tell_of_it() -> None:
    newer = replace(MIRRORED, vault=world_of(document(3)).vault)
    plan = plan_of(DESIRED, newer)
    shown = as_reviewed(newer, plan, FILE)
    plan = only_planned(plan_of(DESIRED, shown), shown.swarm, FILE, ())
    assert [a.to_name for r in actions_of(plan, RollService) for a in r.swaps] == ["db_v2"]
    assert plan.conditions[0].reason == Reason.NOT_IN_PLAN
    assert as_reviewed(MIRRORED, plan_of(DESIRED, MIRRORED), FILE) is MIRRORED


def test_a_plan_ends_though_something_else_is_wanted() -> None:
    empty = replace(FILE, changes=())
    plan = only_planned(plan_of(DESIRED, BEFORE), BEFORE.swarm, empty, ())
    assert actions_of(plan, NoteState) == []
    assert plan.finished
    assert [hold.reason for hold in plan.holds] == [Reason.NOT_IN_PLAN]


def test_what_differs_is_named() -> None:
    now = _file(MIRRORED)
    assert FILE.differences(FILE) == []
    assert FILE.differences(now) == ["no longer due: create db_v2 (version 2 of secret/apps/db)"]
    assert now.differences(FILE) == [
        "due now and not in the plan: create db_v2 (version 2 of secret/apps/db)"
    ]
    assert FILE.differences(replace(FILE, configuration="other")) == [
        "the configuration is not the one that it was made with"
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"index": 11}, "the service api was updated since (version index 10, now 11)"),
        ({"id": "id-other"}, "api was removed and created anew"),
        ({"moves": (("db", "db_v0", "db_v2"),)}, "api: planned db_v1 -> db_v2, due now"),
    ],
)
def test_what_differs_about_a_service_is_named(change: dict[str, object], words: str) -> None:
    changes = tuple(
        replace(planned, **change) if planned.name == "api" else planned  # type: ignore[arg-type]
        for planned in FILE.changes
    )
    (line,) = FILE.differences(replace(FILE, changes=changes))
    assert line.startswith(words)


def test_what_is_due_by_time_alone_is_no_difference() -> None:
    removal = Planned(kind=ChangeKind.REMOVE, name="db_v0", id="id-db_v0")
    assert FILE.differences(replace(FILE, changes=(*FILE.changes, removal))) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"vault_bridge_plan": 2}', '{"changes": 1}'])
def test_a_file_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"plan|version"):
        PlanFile.read(text)


def test_what_is_made_removed_ended_or_woken_must_be_in_the_plan_as_well() -> None:
    """A new generation is held; what is due by time alone is left without a word."""
    service = service_of("api", "db_v1")
    due = leased_world(
        [generation_secret(1, age=5000.0), generation_secret(9, name="old")], [service]
    )
    desired = desired_of(secrets=[leased("api", rotate_every=60.0)])
    plan = plan_of(desired, due)
    assert actions_of(plan, MintGeneration)
    empty = PlanFile(instance="default", configuration="", at=BORN, changes=())
    secret = due.swarm.secrets[0]
    removal = RemoveSecret(
        secret="db",
        secret_id=secret.id,
        docker_name=secret.name,
        reason=Reason.OUTDATED,
        why="nothing needs it",
    )
    end = TendGeneration(
        secret="db",
        secret_id=secret.id,
        docker_name=secret.name,
        step=Tend.SHORTEN,
        reason=Reason.RETIRING,
        why="nothing uses it",
    )
    wake = WakeUpdater(
        service_id=service.id,
        service_name="api",
        template="",
        token="1",
        reason=Reason.NODE_LOST,
        why="it hangs",
    )
    plan = replace(plan, chains=(*plan.chains, (removal,), (end,), (wake,)))
    kept = only_planned(plan, due.swarm, empty, ())
    written = [MintGeneration, RemoveSecret, WakeUpdater]
    assert [actions_of(kept, kind) for kind in written] == [[], [], []]
    assert end not in [action for chain in kept.chains for action in chain]
    assert {(h.secret, h.service) for h in kept.holds if h.reason == Reason.NOT_IN_PLAN} == {
        ("db", "")
    }
    shown = as_reviewed(due, plan, empty)
    assert isinstance(shown.vault.paths[ROLE], Unreadable)
    changes = [
        Planned(kind=ChangeKind.CREATE, name="db_v2"),
        Planned(kind=ChangeKind.REMOVE, name=secret.name, id=secret.id),
        Planned(kind=ChangeKind.END, name=secret.name, id=secret.id),
        Planned(kind=ChangeKind.ROLL, name="api", id=service.id),
    ]
    assert only_planned(plan, due.swarm, replace(empty, changes=tuple(changes)), ()) == plan


def test_a_roll_of_the_plan_that_fails_goes_back_and_another_service_is_left_alone() -> None:
    mark = SetAside(By.FAILURE, BORN, "it fails").write()
    ill = secret_of(2, labels={aside_label("id-api"): mark, aside_label("id-other"): mark})
    services = [service_of(name, "db_v2") for name in ("api", "other")]
    world = world_of(document(2), [secret_of(1, labels={GOOD: BORN}), ill], services)
    desired = desired_of("api", "other", rollout=Rollout(bake=2.0, max_in_flight=5))
    plan = plan_of(desired, world)
    assert {roll.service_name for roll in actions_of(plan, RollService)} == {"api", "other"}
    kept = only_planned(plan, world.swarm, FILE, {"id-api"})
    assert [roll.service_name for roll in actions_of(kept, RollService)] == ["api"]
