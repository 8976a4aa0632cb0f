"""What becomes of marks and records of services that are no longer there?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.decide.versions.marks import gone_marks
from bridge.model.actions import Annotate
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.set_aside import By, SetAside
from bridge.model.swarm_view import SwarmView, Unread
from tests.support.builders import (
    desired_of,
    document,
    foreign,
    plan_of,
    secret_of,
    service_of,
    world_of,
)
from tests.unit.decide.services.test_judge import GOOD, open_roll

DONE = RollRecord(
    before=(), index=5, at="2026-11-03T00:00:00Z", done="2026-11-03T00:01:00Z"
).write()
ASIDE = SetAside(By.FAILURE, "2026-11-03T00:00:00Z", "died").write()


def dropped(plan: Plan) -> list[tuple[str, set[str]]]:
    """Return which labels of which Docker secrets a plan drops for services that are gone."""
    return [
        (action.docker_name, set(action.drop))
        for chain in plan.chains
        for action in chain
        if isinstance(action, Annotate) and action.reason == Reason.SERVICE_GONE
    ]


def test_all_that_is_kept_of_a_service_that_is_gone_is_dropped_in_one_write() -> None:
    """Marks, records that are done or open, and damaged ones; those of living services stay."""
    first = {f"vault-bridge.roll.id-{n}": DONE for n in range(3)} | GOOD
    second = {
        **open_roll("gone"),
        "vault-bridge.roll.id-odd": "{",
        "vault-bridge.aside.id-gone": ASIDE,
        "vault-bridge.aside.id-api": ASIDE,
        "vault-bridge.roll.id-api": DONE,
        "vault-bridge.aside": ASIDE,
    }
    world = world_of(
        document(2),
        [secret_of(1, labels=first), secret_of(2, labels=second)],
        [service_of("api", "db_v1")],
    )
    assert dropped(plan_of(desired_of("api"), world)) == [
        ("db_v1", set(first) - set(GOOD)),
        (
            "db_v2",
            {
                "vault-bridge.roll.id-gone",
                "vault-bridge.roll.id-odd",
                "vault-bridge.aside.id-gone",
            },
        ),
    ]


@pytest.mark.parametrize("label", ["aside", "roll"])
def test_a_service_that_is_gone_does_not_keep_a_version_from_becoming_good(label: str) -> None:
    """And so neither the lease of the former one from its end."""
    value = {"aside": ASIDE, "roll": DONE}[label]
    labels = {f"vault-bridge.{label}.id-gone": value, "vault-bridge.roll.id-api": DONE}
    api = service_of("api", "db_v2")
    world = world_of(document(2), [secret_of(1, labels=GOOD), secret_of(2, labels=labels)], [api])
    plan = plan_of(desired_of("api"), world)
    ((name, drop),) = dropped(plan)
    kept = {key: value for key, value in labels.items() if key not in drop}
    world = world_of(document(2), [secret_of(1, labels=GOOD), secret_of(2, labels=kept)], [api])
    notes = [a for c in plan_of(desired_of("api"), world).chains for a in c]
    assert name == "db_v2"
    assert "vault-bridge.good" in {key for a in notes if isinstance(a, Annotate) for key in a.put}


def test_a_service_of_which_the_look_is_not_sure_keeps_what_is_its_own() -> None:
    """It came between the two lists of one look, or it cannot be read."""
    world = world_of(document(1), [secret_of(1, labels=open_roll("new"))])
    assert dropped(plan_of(desired_of(), world))
    view = replace(world.swarm, unclear=frozenset({"id-new"}))
    assert not dropped(plan_of(desired_of(), replace(world, swarm=view)))


@pytest.mark.parametrize("kind", ["service", "task", "secret"])
def test_while_something_is_not_understood_all_of_it_stays(kind: str) -> None:
    """It may be the service that seems to be gone."""
    world = world_of(document(1), [secret_of(1, labels=open_roll("gone"))])
    unread = Unread(kind=kind, id="", name="", service_id="", error="TypeError")
    view = replace(world.swarm, unread=(unread,))
    assert not dropped(plan_of(desired_of(), replace(world, swarm=view)))


def test_what_the_configuration_no_longer_has_is_cleared_too_and_nothing_of_others() -> None:
    """A name that was removed keeps its versions, and no lease longer than need be."""
    labels = {"vault-bridge.aside.id-gone": ASIDE}
    secrets = (
        secret_of(1, name="former", labels=labels),
        secret_of(1, instance="other", docker_name="theirs_v1", labels=labels),
        replace(foreign("handmade"), labels=labels),
    )
    ((note,),) = gone_marks("default", SwarmView(as_of=0.0, secrets=secrets, services=(), tasks=()))
    assert isinstance(note, Annotate)
    assert note.docker_name == "former_v1"
