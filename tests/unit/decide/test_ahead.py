"""What a plan comes to: the rolls behind a creation, what is held then, what is left out."""

from __future__ import annotations

from dataclasses import replace

from bridge.decide.ahead import foresee
from bridge.model.changes import ChangeKind, Forecast
from bridge.model.desired import Desired, Rollout
from bridge.model.labels import GOOD
from bridge.model.leased import StaticDocument, StaticRole
from bridge.model.memory import Memory
from bridge.model.reasons import Reason
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.window import Window
from bridge.model.wishes import Pause
from bridge.model.world import World
from bridge.sources.static.source import StaticRoles
from tests.support.builders import (
    BORN,
    LIVES,
    NOW,
    ROLE,
    desired_of,
    document,
    generation_secret,
    leased,
    leased_world,
    life,
    plan_of,
    secret_of,
    seen,
    service_of,
    tended,
    world_of,
)

PAIR = StaticRoles("", "database", ("a", "b"))


def _forecast(desired: Desired, world: World) -> Forecast:
    return foresee(desired, world, plan_of(desired, world), Memory(), NOW)


def _lines(forecast: Forecast) -> list[str]:
    return [f"{c.kind} {c.name}: {c.summary}" for c in forecast.changes]


def _api() -> World:
    return world_of(document(2), [secret_of(1, labels={GOOD: BORN})], [service_of("api", "db_v1")])


def test_the_rolls_that_follow_a_creation_are_changes() -> None:
    services = [service_of(name, "db_v1") for name in ("api", "worker")]
    world = world_of(document(2), [secret_of(1, labels={GOOD: BORN})], services)
    found = _forecast(desired_of("api", "worker"), world)
    assert _lines(found) == [
        "create db_v2: version 2 of secret/apps/db",
        "roll api: db_v1 -> db_v2",
        "roll worker: db_v1 -> db_v2",
    ]
    assert [c.now for c in found.changes] == [True, False, False]
    assert [c.index for c in found.changes] == [0, 10, 10]
    assert found.counts == {
        "create": 1,
        "roll": 2,
        "remove": 0,
        "end": 0,
        "under_way": 0,
        "held": 0,
        "failed": 0,
        "unverified": 1,
    }


def test_a_first_plan_makes_the_state_config_and_adds_the_first_reference() -> None:
    world = world_of(document(1), (), [service_of("api")], has_state=False)
    found = _forecast(desired_of("api"), world)
    assert _lines(found) == ["create db_v1: version 1 of secret/apps/db", "roll api: add db_v1"]
    assert found.holds == ()


def test_services_that_wait_for_their_turn_are_changes_and_one_has_its_turn_now() -> None:
    secrets = [secret_of(1, labels={GOOD: BORN}), secret_of(2)]
    world = world_of(document(2), secrets, [service_of(n, "db_v1") for n in ("a", "b", "c")])
    found = _forecast(desired_of("a", "b", "c"), world)
    assert [(c.name, c.now) for c in found.changes] == [("a", True), ("b", False), ("c", False)]
    assert found.under_way == ()


def test_what_will_be_held_is_held_already() -> None:
    """A pause, and a window that is closed: the version is mirrored, and no roll is promised."""
    world = _api()
    paused = replace(world, swarm=replace(world.swarm, pauses={"": Pause(BORN, "freeze")}))
    found = _forecast(desired_of("api"), paused)
    assert [c.kind for c in found.changes] == [ChangeKind.CREATE]
    assert [(h.service, h.reason) for h in found.holds] == [("api", Reason.PAUSED)]
    closed = Rollout(bake=2.0, windows=(Window.read("Mon 03:00-03:01", "UTC"),))
    found = _forecast(desired_of("api", rollout=closed), world)
    assert [c.kind for c in found.changes] == [ChangeKind.CREATE]
    assert found.counts["held"] + found.counts["under_way"] == 1


def test_settling_delays_a_roll_and_takes_none_away() -> None:
    rollout = Rollout(bake=2.0, settle=60.0)
    found = _forecast(desired_of("api", rollout=rollout), _api())
    assert _lines(found)[1:] == ["roll api: db_v1 -> db_v2"]


def test_marks_and_renewals_are_no_changes() -> None:
    due = {"db_v1": seen(life(500.0, 100.0))}
    world = leased_world([generation_secret(1)], [service_of("api", "db_v1")], due)
    desired = desired_of(secrets=[leased("api")])
    assert tended(plan_of(desired, world)) == {"db_v1": ["RENEW_LEASE"]}
    assert _forecast(desired, world).changes == ()


def test_a_new_generation_of_a_lease_is_rolled_too() -> None:
    found = _forecast(
        desired_of(secrets=[leased("api")]), leased_world((), [service_of("api")], lives=LIVES)
    )
    assert _lines(found) == [
        f"create db_v1: a new credential of {ROLE}",
        "roll api: add db_v1",
    ]
    assert found.counts["unverified"] == 0
    due = leased_world([generation_secret(1, age=5000.0)], [service_of("api", "db_v1")])
    found = _forecast(desired_of(secrets=[leased("api", rotate_every=60.0)]), due)
    assert _lines(found)[1:] == ["roll api: db_v1 -> db_v2"]


def test_a_password_of_a_static_role_is_rolled_too() -> None:
    secret = replace(leased("api"), source=PAIR)
    roles = StaticDocument({name: StaticRole("2026-11-01T00:00:00Z", 1e7) for name in PAIR.roles})
    world = world_of({PAIR: roles}, (), [service_of("api")])
    found = _forecast(desired_of(secrets=[secret]), world)
    assert _lines(found) == ["create db_v1: the password of static role a", "roll api: add db_v1"]


def test_a_version_that_is_no_longer_needed_is_removed() -> None:
    secrets = [secret_of(n, labels={GOOD: BORN}) for n in (1, 2, 3)]
    world = world_of(document(3), secrets, [service_of("api", "db_v3")])
    assert _lines(_forecast(desired_of("api"), world))[0].startswith("remove db_v1: ")


def test_a_service_that_has_failed_is_no_peace() -> None:
    """It is neither a change nor a hold, and nobody may take the plan for a clean one."""
    mark = SetAside(By.FAILURE, BORN, "task api.1 exited with code 1").write()
    secrets = [
        secret_of(1, labels={GOOD: BORN}),
        secret_of(2, labels={aside_label("id-api"): mark}),
    ]
    world = world_of(document(2), secrets, [service_of("api", "db_v1")])
    found = _forecast(desired_of("api"), world)
    assert found.changes == ()
    assert [(secret, s.name, s.reason) for secret, s in found.failed] == [
        ("db", "api", Reason.ROLL_FAILED)
    ]
    assert found.counts["failed"] == 1


def test_what_is_not_configured_any_more_is_not_up_to_date() -> None:
    world = world_of(document(1), [secret_of(1, name="old", labels={GOOD: BORN})], ())
    found = _forecast(desired_of("api"), world)
    assert [(n.secret, n.reason) for n in found.notices] == [("old", Reason.UNMAPPED)]
