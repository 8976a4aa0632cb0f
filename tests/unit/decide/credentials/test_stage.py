"""When is a new generation of a leased credential made, and which ones may be used?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bridge.model.actions import MintGeneration, NoteState, RollService, TendGeneration, action_key
from bridge.model.desired import DesiredSecret, Rollout
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import ENDED, RETIRING, TRIES, VANISHED
from bridge.model.leased import GenerationView, Gone, RoleDocument, Unknown
from bridge.model.memory import Backoff, Memory
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.set_aside import By, SetAside
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import KvDocument, KvVersion
from bridge.model.window import Window
from bridge.model.wishes import Do, Pause, Wish
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    LIVES,
    NOW,
    ROLE,
    actions_of,
    custody,
    desired_of,
    generation_secret,
    leased,
    leased_world,
    life,
    plan_of,
    seen,
    service_of,
    tended,
)

TIMEOUT = 600.0
API = leased("api")
GO = KvPath("", "kv", "go")
GONE = seen(Gone(), Gone())


def aside(by: By, where: str = "", *, ago: float = 10.0, tried: bool = False) -> dict[str, str]:
    """Return the label of a generation that is set aside."""
    label = "vault-bridge.aside" + (f".{where}" if where else "")
    return {label: SetAside(by, timestamp(NOW - ago), "because", tried).write()}


def plan_for(
    secrets: list[DockerSecret],
    on: str = "",
    views: Mapping[str, GenerationView] | None = None,
    *,
    secret: DesiredSecret = API,
    memory: Memory = Memory(),
    **more: Any,
) -> Plan:
    """Plan for the secret ``db`` and the service ``api`` that is on one of its generations."""
    services = [service_of("api", *([on] if on else []))]
    world = leased_world(secrets, services, views, **more)
    desired = desired_of(secrets=[secret], rollout=Rollout(bake=2.0, timeout=TIMEOUT))
    return plan_of(desired, world, memory)


def minted(plan: Plan) -> tuple[int, Reason] | None:
    """Return which generation a plan makes, and why."""
    found = actions_of(plan, MintGeneration)
    assert len(found) <= 1
    return (found[0].version, found[0].reason) if found else None


def held(plan: Plan) -> set[Reason]:
    """Return why something is held."""
    return {hold.reason for hold in plan.holds}


def rotate(to: int = 1, **more: Any) -> dict[str, Any]:
    """Return an operator's wish for what comes after a generation."""
    return {"wishes": {"db": Wish(do=Do.ROTATE, at=timestamp(NOW), why="", to=to, **more)}}


def old(age: float, left: float = 500.0) -> GenerationView:
    """Return a generation of some age."""
    return seen(life(age, left, renewed=True, granted=600.0), custody(age))


# --- by itself -----------------------------------------------------------------------------------


def test_the_first_one_is_made_at_once() -> None:
    assert minted(plan_for([])) == (1, Reason.NEW_GENERATION)


def test_none_is_made_while_the_one_in_use_is_well() -> None:
    assert not minted(plan_for([generation_secret(1)], "db_v1"))


@pytest.mark.parametrize(("age", "due"), [(3999.0, False), (4001.0, True)])
def test_one_is_made_before_the_hard_end(age: float, due: bool) -> None:
    """``rotate_before`` is a part of the longest life."""
    plan = plan_for([generation_secret(1, age=age)], "db_v1", {"db_v1": old(age)})
    assert minted(plan) == ((2, Reason.ROTATION_DUE) if due else None)


def test_the_hard_end_of_a_custody_counts_too() -> None:
    token = custody(100.0, longest=140.0)
    plan = plan_for([generation_secret(1)], "db_v1", {"db_v1": seen(life(), token)})
    assert minted(plan) == (2, Reason.ROTATION_DUE)


def test_a_renewal_that_gave_less_tells_of_the_end() -> None:
    """The mount may cap what the role gives."""
    capped = seen(life(1000.0, 100.0, renewed=True, granted=200.0), custody(1000.0))
    plan = plan_for([generation_secret(1, age=1000.0)], "db_v1", {"db_v1": capped})
    assert minted(plan) == (2, Reason.ROTATION_DUE)


@pytest.mark.parametrize(("age", "due"), [(99.0, False), (100.0, True)])
def test_one_is_made_at_a_certain_age(age: float, due: bool) -> None:
    secret = leased("api", rotate_every=100.0)
    plan = plan_for([generation_secret(1, age=age)], "db_v1", {"db_v1": old(age)}, secret=secret)
    assert minted(plan) == ((2, Reason.ROTATION_DUE) if due else None)


@pytest.mark.parametrize(("written", "due"), [(NOW - 200, False), (NOW - 50, True)])
def test_a_newer_version_of_a_path_asks_for_one(written: float, due: bool) -> None:
    go = KvDocument(timestamp(1.0), 3, {3: KvVersion(timestamp(written))})
    plan = plan_for(
        [generation_secret(1)],
        "db_v1",
        secret=leased("api", rotate_on=GO),
        lives={ROLE: LIVES, GO: go},
    )
    assert minted(plan) == ((2, Reason.ROTATION_DUE) if due else None)


def test_an_operator_asks_for_one_once() -> None:
    secrets = [generation_secret(1)]
    assert minted(plan_for(secrets, "db_v1", **rotate())) == (2, Reason.ROTATION_ASKED)
    secrets = [generation_secret(2), generation_secret(1)]
    assert not minted(plan_for(secrets, "db_v2", **rotate()))


def test_a_number_that_somebody_took_is_passed_over() -> None:
    taken = DockerSecret("x", "DB_v2", NOW)
    assert minted(plan_for([generation_secret(1), taken], "db_v1", **rotate())) == (
        3,
        Reason.ROTATION_ASKED,
    )


# --- when it waits -------------------------------------------------------------------------------


@pytest.mark.parametrize("good", [True, False])
def test_none_is_made_while_the_former_change_is_on_its_way(good: bool) -> None:
    """Else more than two credentials would be alive at once."""
    secrets = [generation_secret(1), generation_secret(2, good=good)]
    plan = plan_for(secrets, "db_v1", {"db_v2": old(4500.0)}, **rotate(2))
    assert not minted(plan)


def test_none_is_made_while_it_is_paused() -> None:
    more = {"pauses": {"db": Pause("t")}, **rotate()}
    assert not minted(plan_for([generation_secret(1)], "db_v1", **more))
    plan = plan_for([generation_secret(1)], "db_v1", {"db_v1": old(5000.0)}, **more)
    assert not minted(plan)
    assert Reason.LEASE_ENDING in held(plan)
    plan = plan_for([generation_secret(1)], "db_v1", {"db_v1": GONE}, **more)
    assert not minted(plan)


def test_the_hard_end_wins_over_a_change_that_is_on_its_way() -> None:
    """From two rolls before it on; a newer one that has time is rolled to instead."""
    secrets = [generation_secret(1, age=4900.0), generation_secret(2, good=False)]
    views = {"db_v1": old(4900.0), "db_v2": old(4850.0)}
    assert minted(plan_for(secrets, "db_v1", views)) == (3, Reason.FORCED_BY_EXPIRY)
    assert not minted(plan_for(secrets, "db_v1", views | {"db_v2": old(4700.0)}))


def test_a_short_life_is_half_used_before_it_is_forced() -> None:
    """Else one roll would follow the other."""
    lives = RoleDocument(60.0, 100.0)
    for age, due in ((45.0, None), (51.0, (3, Reason.FORCED_BY_EXPIRY))):
        views = {f"db_v{n}": seen(life(age, 40.0, granted=60.0), custody()) for n in (1, 2)}
        secrets = [generation_secret(1), generation_secret(2, good=False)]
        assert minted(plan_for(secrets, "db_v1", views, lives=lives)) == due


def test_nothing_is_made_while_vault_does_not_say_how_things_stand() -> None:
    """I9, I13."""
    away = Unknown(Reason.VAULT_UNREACHABLE, "no answer")
    plan = plan_for([generation_secret(1)], "db_v1", {"db_v1": seen(away, away)}, **rotate())
    assert not minted(plan)
    assert Reason.VAULT_UNREACHABLE in held(plan)


# --- what vanished -------------------------------------------------------------------------------


def vanished_before(*names: str, at: float = NOW - 5) -> Memory:
    """Return what a process remembers that has not found generations before."""
    return Memory(vanished={f"id-{name}": at for name in names})


@pytest.mark.parametrize("view", [GONE, seen(Gone()), seen(life(), Gone())])
def test_what_vanished_is_replaced_after_a_second_look(view: GenerationView) -> None:
    secrets, views = [generation_secret(1)], {"db_v1": view}
    first = plan_for(secrets, "db_v1", views)
    assert not minted(first)
    assert first.doubtful
    same = vanished_before("db_v1", at=NOW)
    assert not minted(plan_for(secrets, "db_v1", views, memory=same))
    second = plan_for(secrets, "db_v1", views, memory=vanished_before("db_v1"))
    assert minted(second) == (2, Reason.LEASE_VANISHED)
    assert actions_of(second, MintGeneration)[0].labels[VANISHED] == timestamp(NOW)


def test_what_vanished_twice_within_an_hour_is_not_replaced_again() -> None:
    times = [timestamp(NOW - ago) for ago in (3000, 1000)]
    secrets = [generation_secret(3, labels={VANISHED: ",".join(times)})]
    plan = plan_for(secrets, "db_v3", {"db_v3": GONE}, memory=vanished_before("db_v3"))
    assert not minted(plan)
    hold = next(h for h in plan.holds if h.reason == Reason.LEASE_UNSTABLE)
    assert hold.until == NOW + 600
    asked = plan_for(
        secrets, "db_v3", {"db_v3": GONE}, memory=vanished_before("db_v3"), **rotate(3)
    )
    assert minted(asked) == (4, Reason.ROTATION_ASKED)


def test_what_vanished_long_ago_is_forgotten() -> None:
    times = [timestamp(NOW - ago) for ago in (3700, 1000)]
    secrets = [generation_secret(3, labels={VANISHED: ",".join(times)})]
    plan = plan_for(secrets, "db_v3", {"db_v3": GONE}, memory=vanished_before("db_v3"))
    assert minted(plan) == (4, Reason.LEASE_VANISHED)
    labels = actions_of(plan, MintGeneration)[0].labels
    assert labels[VANISHED] == f"{timestamp(NOW - 1000)},{timestamp(NOW)}"


# --- what failed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("tries", "pause"), [(1, TIMEOUT), (2, 2 * TIMEOUT)])
def test_another_one_follows_one_that_failed_ever_later(tries: int, pause: float) -> None:
    """I11."""
    for ago, due in ((pause - 1, False), (pause + 1, True)):
        labels = {TRIES: str(tries), **aside(By.FAILURE, "id-api", ago=ago)}
        secrets = [generation_secret(1), generation_secret(2, good=False, labels=labels)]
        plan = plan_for(secrets, "db_v1")
        assert minted(plan) == ((3, Reason.NEW_GENERATION) if due else None)
        if due:
            mint = actions_of(plan, MintGeneration)[0]
            assert mint.labels[TRIES] == str(tries + 1)
        else:
            assert Reason.ROLL_FAILED in held(plan)


def test_three_that_failed_are_enough() -> None:
    labels = {TRIES: "3", **aside(By.FAILURE, "id-api", ago=1e5)}
    secrets = [generation_secret(1), generation_secret(4, good=False, labels=labels)]
    plan = plan_for(secrets, "db_v1")
    assert not minted(plan)
    assert Reason.GENERATIONS_FAILED in held(plan)
    assert minted(plan_for(secrets, "db_v1", **rotate(4))) == (5, Reason.ROTATION_ASKED)


def test_a_suspect_waits_for_its_trial_while_there_is_a_way_back() -> None:
    labels = aside(By.SUSPECT, "id-api", ago=1e5)
    secrets = [generation_secret(1), generation_secret(2, good=False, labels=labels)]
    assert not minted(plan_for(secrets, "db_v2"))


@pytest.mark.parametrize("more", [{}, rotate(2)])
def test_a_suspect_that_nothing_can_go_back_from_is_replaced(more: dict[str, Any]) -> None:
    labels = aside(By.SUSPECT, "id-api", ago=TIMEOUT + 1)
    secrets = [generation_secret(1), generation_secret(2, good=False, labels=labels)]
    plan = plan_for(secrets, "db_v2", {"db_v1": GONE}, memory=vanished_before("db_v1"), **more)
    made = minted(plan)
    assert made
    assert made[0] == 3


# --- an operator's rollback ----------------------------------------------------------------------


def back(age: float = 100.0) -> list[DockerSecret]:
    """Return two generations of which an operator rolled the newer one back."""
    labels = aside(By.OPERATOR)
    return [generation_secret(1, age=age), generation_secret(2, labels=labels)]


def test_a_rollback_stays_until_the_end_of_what_is_in_use() -> None:
    assert not minted(plan_for(back(), "db_v1", {"db_v1": old(4500.0), "db_v2": old(100.0)}))
    ending = {"db_v1": old(4900.0), "db_v2": old(100.0)}
    assert minted(plan_for(back(4900.0), "db_v1", ending)) == (3, Reason.FORCED_BY_EXPIRY)


def test_what_vanished_after_a_rollback_is_replaced() -> None:
    plan = plan_for(back(), "db_v1", {"db_v1": GONE}, memory=vanished_before("db_v1"))
    assert minted(plan) == (3, Reason.LEASE_VANISHED)


def test_a_rollback_to_what_is_over_is_held_until_the_end_of_what_is_in_use() -> None:
    secrets = [
        generation_secret(1, labels={RETIRING: timestamp(NOW)}),
        generation_secret(2, labels=aside(By.OPERATOR)),
    ]
    assert not minted(plan_for(secrets, "db_v2"))
    plan = plan_for(secrets, "db_v2", {"db_v2": old(4900.0)})
    assert minted(plan) == (3, Reason.FORCED_BY_EXPIRY)


# --- which ones may be used ----------------------------------------------------------------------


def rolled(plan: Plan) -> list[str]:
    """Return what a plan points services at."""
    return [swap.to_name for roll in actions_of(plan, RollService) for swap in roll.swaps]


TWO = [generation_secret(1), generation_secret(2, good=False)]


def test_services_move_to_the_newest_that_is_alive_and_kept() -> None:
    assert rolled(plan_for(TWO, "db_v1")) == ["db_v2"]


def test_a_provisional_one_is_kept_before_any_service_is_pointed_at_it() -> None:
    provisional = seen(life(), custody(renewed=False))
    plan = plan_for(TWO, "db_v1", {"db_v2": provisional})
    assert not rolled(plan)
    assert tended(plan)["db_v2"] == ["MAKE_PERMANENT"]
    assert Reason.CUSTODY_PROVISIONAL in held(plan)


@pytest.mark.parametrize(
    "view",
    [
        seen(Unknown(Reason.VAULT_UNREACHABLE, "no answer")),
        seen(life(), Unknown(Reason.VAULT_UNREACHABLE, "no answer")),
        seen(life(), Unknown(Reason.FOREIGN_LEASE, "not ours", foreign=True)),
        seen(Gone()),
    ],
)
def test_services_move_forward_only_to_what_is_known_to_be_alive(view: GenerationView) -> None:
    assert not rolled(plan_for(TWO, "db_v1", {"db_v2": view}))


def test_services_go_back_whatever_vault_says() -> None:
    """What they leave has failed."""
    away = Unknown(Reason.VAULT_UNREACHABLE, "no answer")
    failed = generation_secret(2, good=False, labels=aside(By.FAILURE, "id-api"))
    views = {"db_v1": seen(away, away), "db_v2": seen(away, away)}
    assert rolled(plan_for([generation_secret(1), failed], "db_v2", views)) == ["db_v1"]


def test_what_is_over_is_gone_to_never_again() -> None:
    for labels in ({RETIRING: timestamp(NOW)}, {"vault-bridge.ended": timestamp(NOW)}):
        secrets = [generation_secret(1), generation_secret(2, labels=labels)]
        assert not rolled(plan_for(secrets, "db_v1"))
    gone = plan_for(TWO, "db_v1", {"db_v2": GONE}, memory=vanished_before("db_v2"))
    assert not rolled(gone)


def test_services_leave_what_vanished_though_an_older_one_is_alive() -> None:
    """It vanished in the middle of the roll to it, or just after."""
    for secrets in (TWO, [generation_secret(1), generation_secret(2)]):
        plan = plan_for(secrets, "db_v2", {"db_v2": GONE}, memory=vanished_before("db_v2"))
        assert minted(plan) == (3, Reason.LEASE_VANISHED) or rolled(plan) == ["db_v1"]


# --- a renewal that is refused -------------------------------------------------------------------


def test_what_vault_refuses_to_renew_is_replaced_in_time() -> None:
    """Its user was dropped, or its role: what is left is its hard end."""
    first = plan_for([generation_secret(1, age=350.0)], "db_v1", {"db_v1": old(350.0, 250.0)})
    assert not minted(first)
    backoffs = _refused_renewal()
    plan = plan_for(
        [generation_secret(1, age=450.0)],
        "db_v1",
        {"db_v1": old(450.0, 150.0)},
        memory=Memory(backoffs=backoffs),
    )
    assert minted(plan) == (2, Reason.ROTATION_DUE)
    assert Reason.RENEWAL_FAILED in held(plan)


def _refused_renewal() -> dict[str, Backoff]:
    views = {"db_v1": seen(life(450.0, 150.0), custody())}
    plan = plan_for([generation_secret(1)], "db_v1", views)
    renewal = next(a for a in actions_of(plan, TendGeneration))
    return {
        action_key(renewal): Backoff(tries=3, until=NOW + 5, message="no such role", passes=False)
    }


# --- what operators wish -------------------------------------------------------------------------


def refused(plan: Plan) -> str:
    """Return why a plan refuses an operator's wish."""
    (note,) = actions_of(plan, NoteState)
    wish = Wish.read(note.put["vault-bridge.wish.db"])
    assert wish is not None
    return wish.refused


def test_nobody_goes_back_to_a_credential_that_is_over() -> None:
    over = generation_secret(1, labels={RETIRING: timestamp(NOW - 60), ENDED: timestamp(NOW - 1)})
    wishes = {"db": Wish(do=Do.ROLLBACK, at="t", to=1)}
    plan = plan_for([over, generation_secret(2)], "db_v2", wishes=wishes)
    assert "CredentialEnded" in refused(plan)
    assert "`vault-bridge rotate db` makes a new one" in refused(plan)
    assert actions_of(plan, RollService) == []


def test_the_first_generation_is_made_whoever_asks_for_one() -> None:
    plan = plan_for([], wishes={"db": Wish(do=Do.ROTATE, at="t")})
    assert minted(plan) == (1, Reason.NEW_GENERATION)
    assert actions_of(plan, NoteState) == []


# --- windows -------------------------------------------------------------------------------------


def test_a_generation_is_made_in_a_window_unless_the_former_one_ends_before() -> None:
    """Its roll waits for the window as well, and its lease would be spent waiting."""
    night = Window.read("22:00-04:00")
    rollout = Rollout(bake=2.0, timeout=TIMEOUT, windows=(night,))
    due, ending = 4100.0, LIVES.max_ttl - 2 * TIMEOUT + 1
    plans = {}
    for age in (due, ending):
        secret = generation_secret(1, age=age)
        world = leased_world(
            [secret], [service_of("api", "db_v1")], {"db_v1": seen(life(age=age), custody(age))}
        )
        plans[age] = plan_of(desired_of(secrets=[API], rollout=rollout), world)
    assert minted(plans[due]) is None
    (hold,) = [hold for hold in plans[due].holds if hold.reason == Reason.WINDOW_CLOSED]
    assert hold.until == night.next_opening(NOW)
    assert minted(plans[ending]) == (2, Reason.FORCED_BY_EXPIRY)
