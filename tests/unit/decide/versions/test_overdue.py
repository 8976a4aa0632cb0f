"""When is a secret overdue for rotation, and what is shown of it?"""

from __future__ import annotations

from dataclasses import replace

from bridge.model.conditions import Condition, Hold
from bridge.model.desired import Desired
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.service import Service
from bridge.model.timestamps import instant
from bridge.model.vault_view import Unreadable
from tests.support.builders import (
    created,
    desired_of,
    document,
    generation_secret,
    leased,
    leased_world,
    plan_of,
    secret_of,
    service_of,
    wanted,
    world_of,
)
from tests.unit.decide.services.test_judge import GOOD

DAY = 86400.0
MADE = instant(created(1)) / 1e9
FIRST = secret_of(1, labels=GOOD)
API = service_of("api", "db_v1")


def _desired(max_age: float | None = 90 * DAY) -> Desired:
    return desired_of(secrets=[replace(wanted("db", "api"), max_age=max_age)])


def _plan(age: float, *services: Service, current: int = 1) -> Plan:
    world = world_of(document(current), [FIRST], services or (API,))
    return plan_of(_desired(), world, now=MADE + age)


def _shown(plan: Plan) -> tuple[Condition, list[Hold]]:
    notices = [notice for notice in plan.notices if notice.reason == Reason.OVERDUE]
    return plan.conditions[0], notices


def test_it_is_shown_from_the_moment_on_at_which_it_is_too_old() -> None:
    """It decides nothing: the secret stays in order, and nothing is done or held."""
    before = _plan(90 * DAY - 1)
    condition, notices = _shown(before)
    assert (condition.overdue, condition.overdue_at, notices) == (False, MADE + 90 * DAY, [])
    assert before.wake_at == MADE + 90 * DAY
    after = _plan(90 * DAY)
    condition, (notice,) = _shown(after)
    assert (condition.state, condition.reason) == (State.SYNCED, Reason.OVERDUE)
    assert condition.overdue
    assert condition.message == notice.message
    assert notice.message == (
        "v1 in use is of 2026-11-02T00:00:00Z, older than `max_age: 90d`;"
        " write a new version in Vault"
    )
    assert after.chains == ()
    assert after.holds == ()


def test_without_max_age_nothing_is_too_old() -> None:
    plan = plan_of(_desired(None), world_of(document(1), [FIRST], [API]), now=MADE + 1e9)
    condition, notices = _shown(plan)
    assert (condition.overdue, condition.overdue_at, notices) == (False, None, [])
    assert condition.reason == Reason.UP_TO_DATE


def test_what_a_task_holds_counts_and_not_what_vault_has_by_now() -> None:
    """A service that cannot be rolled keeps the old credential in use."""
    second = secret_of(2, labels=GOOD)
    world = world_of(document(2), [FIRST, second], [API, service_of("other", "db_v2")])
    condition, (notice,) = _shown(plan_of(_desired(), world, now=MADE + 90 * DAY))
    assert condition.overdue
    assert condition.state != State.SYNCED
    assert condition.reason != Reason.OVERDUE
    assert "it ends as soon as every task has v2" in notice.message


def test_of_a_secret_without_tasks_its_newest_version_counts() -> None:
    second = secret_of(2, labels=GOOD)
    world = world_of(document(2), [FIRST, second], [])
    condition = plan_of(_desired(), world, now=MADE + 90 * DAY).conditions[0]
    assert (condition.overdue, condition.overdue_at) == (False, MADE + 91 * DAY)


def test_before_anything_is_mirrored_nothing_is_in_use() -> None:
    condition, notices = _shown(
        plan_of(_desired(), world_of(document(1), [], []), now=MADE + 90 * DAY)
    )
    assert (condition.overdue, condition.overdue_at, notices) == (False, None, [])


def test_it_is_known_while_vault_is_away() -> None:
    away = Unreadable(Reason.VAULT_UNREACHABLE, "no answer")
    plan = plan_of(_desired(), world_of(away, [FIRST], [API]), now=MADE + 90 * DAY)
    condition, notices = _shown(plan)
    assert condition.overdue
    assert condition.reason == Reason.VAULT_UNREACHABLE
    assert len(notices) == 1


def test_of_a_leased_credential_it_tells_how_another_is_made() -> None:
    secret = replace(leased("api"), max_age=50.0)
    world = leased_world([generation_secret(1)], [API])
    condition, (notice,) = _shown(plan_of(desired_of(secrets=[secret]), world))
    assert condition.overdue
    assert "`vault-bridge rotate db` makes another credential" in notice.message
