"""The bridge's own service comes last, and its version is good once Vault has answered it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.actions import Annotate, RollService, action_key
from bridge.model.desired import Rollout
from bridge.model.labels import GOOD, ROLL
from bridge.model.memory import Backoff, Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import UpdateState
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import KvDocument, Unreadable
from bridge.model.world import World
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    NOW,
    PATH,
    after,
    desired_of,
    document,
    plan_of,
    reference,
    secret_of,
    service_of,
    task_of,
    wanted,
    world_of,
)
from tests.unit.decide.services.test_judge import rolls

OWN = KvPath("", "secret", "ops/bridge")
REFUSED = Unreadable(Reason.LOGIN_REFUSED, "Vault refused the AppRole login", everywhere=True)
AWAY = Unreadable(Reason.VAULT_UNREACHABLE, "no answer", everywhere=True)
MANY = Rollout(max_in_flight=3, bake=2.0)


def notes(plan: Plan, reason: Reason) -> list[Annotate]:
    found = (a for c in plan.chains for a in c if isinstance(a, Annotate))
    return [note for note in found if note.reason == reason]


# --- its turn ------------------------------------------------------------------------------------


def _both(age: float = 90.0, api: str = "db_v1", container: str = "c1", **changes: Any) -> World:
    """Return a world in which the bridge's service, listed first, and ``api`` are to be rolled.

    Args:
        age: Seconds since the version for ``api`` was mirrored; that of the bridge is 60 s old.
        api: The version that ``api`` is on.
        container: The container that the bridge runs in.
    """
    own, other = service_of("bridge", "id_v1"), service_of("api", api, **changes)
    done = {GOOD: "t"}
    record = RollRecord(before=(), index=10, at=timestamp(NOW - 5), done="")
    flying = {f"{ROLL}{other.id}": record.write()} if api == "db_v2" else {}
    secrets = [
        secret_of(1, name="id", path=OWN, labels=done),
        secret_of(2, name="id", path=OWN, age=60.0),
        secret_of(1, labels=done),
        secret_of(2, age=age, labels=flying),
    ]
    tasks = [task_of(own, "id_v1", container="c1"), task_of(other, api)]
    documents: Mapping[Any, Any] = {OWN: document(2), PATH: document(2)}
    return world_of(documents, secrets, [own, other], tasks, container=container)


DESIRED = desired_of(secrets=[wanted("id", "bridge", path=OWN), wanted("db", "api")], rollout=MANY)


def test_it_comes_last() -> None:
    plan = plan_of(DESIRED, _both())
    assert rolls(plan) == ["api"]
    (held,) = [hold for hold in plan.holds if hold.service == "bridge"]
    assert held.reason == Reason.WAITING_FOR_TURN
    assert held.message == "it is the bridge's own service, and comes after api"


def test_it_waits_for_what_is_under_way() -> None:
    world = _both(api="db_v2", update=UpdateState.UPDATING, desired_tasks=2)
    assert rolls(plan_of(DESIRED, world)) == []


def test_it_waits_for_nothing_that_came_later() -> None:
    """Whoever rotates without end does not keep the bridge's own credential from being rolled."""
    later = _both(age=30.0)
    assert rolls(plan_of(DESIRED, later)) == ["bridge", "api"]
    one_by_one = replace(DESIRED, rollout=Rollout(max_in_flight=1))
    assert rolls(plan_of(one_by_one, later)) == ["bridge"]
    flying = _both(age=30.0, api="db_v2", update=UpdateState.UPDATING, desired_tasks=2)
    assert rolls(plan_of(DESIRED, flying)) == ["bridge"]


def test_it_waits_for_no_update_that_the_engine_refuses() -> None:
    world = _both()
    (update,) = [a for c in plan_of(DESIRED, world).chains for a in c if isinstance(a, RollService)]
    memory = Memory(
        backoffs={action_key(update): Backoff(tries=3, until=NOW + 60, message="refused")}
    )
    assert rolls(plan_of(DESIRED, world, memory)) == ["bridge"]


@pytest.mark.parametrize("container", ["", "another"])
def test_a_bridge_that_runs_elsewhere_has_no_own_service(container: str) -> None:
    assert rolls(plan_of(DESIRED, _both(container=container))) == ["bridge", "api"]


# --- its credential ------------------------------------------------------------------------------


def _rolled(
    seen: KvDocument | Unreadable, holds: str = "db_v2", container: str = "c2", **aside: str
) -> World:
    """Return a world in which all tasks of the bridge's service have come up on version 2."""
    service = service_of(
        "bridge",
        "db_v2",
        index=11,
        desired_tasks=2,
        update=UpdateState.COMPLETED,
        update_completed=NOW - 1,
    )
    record = RollRecord(
        before=(reference("db_v1").write(),), index=10, at=timestamp(NOW - 20), done=""
    )
    labels = {f"{ROLL}{service.id}": record.write(), **aside}
    secrets = [secret_of(1, labels={GOOD: "t"}), secret_of(2, labels=labels)]
    tasks = [
        task_of(service, "db_v2", container="c1", written=NOW - 9),
        task_of(service, holds, number=2, container="c2", written=NOW - 9),
    ]
    return world_of(seen, secrets, [service], tasks, container=container)


BRIDGE = desired_of("bridge", rollout=MANY)


def _is_good(world: World) -> bool:
    plan, _ = after(BRIDGE, world, 0.0, 3.0, 6.0)
    return bool(notes(plan, Reason.CONVERGED))


def test_it_is_good_once_vault_has_answered_the_bridge_that_runs_on_it() -> None:
    assert _is_good(_rolled(document(2)))
    assert not _is_good(_rolled(AWAY))
    plan, _ = after(BRIDGE, _rolled(AWAY), 0.0, 3.0, 6.0)
    (service,) = plan.conditions[0].services
    assert service.reason == Reason.BAKING
    assert "Vault has yet to answer" in service.message


def test_what_vault_says_to_a_bridge_elsewhere_proves_nothing_either_way() -> None:
    assert _is_good(_rolled(AWAY, container="another"))
    assert not notes(plan_of(BRIDGE, _rolled(REFUSED, container="another")), Reason.ROLL_FAILED)


def test_a_credential_that_vault_refuses_goes_back() -> None:
    (aside,) = notes(plan_of(BRIDGE, _rolled(REFUSED)), Reason.ROLL_FAILED)
    assert "cannot log in: Vault refused the AppRole login" in aside.why
    plan = plan_of(BRIDGE, _rolled(REFUSED, **aside.put))
    assert rolls(plan) == ["bridge"]
    (roll,) = [a for c in plan.chains for a in c if isinstance(a, RollService)]
    assert roll.reason == Reason.GOING_BACK


def test_a_refusal_of_the_former_credential_says_nothing_of_the_new_one() -> None:
    """The bridge that leads is the last one on the former version, whose credential has ended."""
    assert not notes(plan_of(BRIDGE, _rolled(REFUSED, holds="db_v1")), Reason.ROLL_FAILED)
