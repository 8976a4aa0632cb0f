"""Leased credentials in awkward moments: none in use may end, and nothing may wait for ever."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bridge.decide.cycle import decide
from bridge.model.actions import Annotate, MintGeneration, RollService, Tend, TendGeneration
from bridge.model.desired import (
    Content,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    LeaseRules,
    Rollout,
)
from bridge.model.desired import Mapping as ServiceMapping
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import labels_of
from bridge.model.leased import Fate, GenerationView, Gone, Life, RoleDocument, lease_labels
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.service import Service, Task
from bridge.model.set_aside import By, SetAside
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import VaultView
from bridge.model.window import Window
from bridge.model.wishes import Do, Pause, Wish
from bridge.model.world import World
from bridge.report.render import current_names
from bridge.sources.database.source import DatabaseRole
from tests.support.builders import NOW, desired_of, service_of, task_of

ROLE = DatabaseRole("", "database", "app")
HOUR = 3600.0
DAY = 24 * HOUR
DOCUMENT = RoleDocument(HOUR, 30 * DAY)
GOOD = {"good": timestamp(NOW - DAY)}
CLOSED = Rollout(bake=2.0, windows=(Window.read("Mon 00:00-00:01", "UTC"),))


def leased(
    *services: str, name: str = "db", role: DatabaseRole = ROLE, **rules: Any
) -> DesiredSecret:
    """Return a configured secret with a lease."""
    mappings = tuple(ServiceMapping(service, (FileFields(),)) for service in services)
    return DesiredSecret(
        name=name,
        source=role,
        content=Content(format=Format.JSON),
        services=mappings,
        lease=LeaseRules(**rules),
    )


def generation(
    version: int, *labels: Mapping[str, str], name: str = "db", role: DatabaseRole = ROLE
) -> DockerSecret:
    """Return the Docker secret of a generation; its labels are given without their prefix."""
    made = timestamp(NOW - 2 * DAY + version)
    own = labels_of("default", name, Identity(role, ONE_LIFE, version, made))
    own |= lease_labels(f"{role.lease_prefix}{name}{version}", f"accessor-{name}{version}", "app")
    own |= {f"vault-bridge.{key}": value for each in labels for key, value in each.items()}
    return DockerSecret(f"id-{name}_v{version}", f"{name}_v{version}", NOW - 2 * DAY, own)


def alive(*, age: float = 2 * DAY, left: float = HOUR, granted: float = HOUR) -> Life:
    """Return the life of a lease that was renewed."""
    return Life(started=NOW - age, ends=NOW + left, granted=granted, renewed=True)


CUSTODY = Life(started=NOW - 2 * DAY, ends=NOW + 29 * DAY, granted=32 * DAY, renewed=True)


def world(
    secrets: Iterable[DockerSecret],
    services: Iterable[Service] = (),
    lives: Mapping[str, Fate] | None = None,
    *,
    tasks: Iterable[Task] | None = None,
    paths: Mapping[Any, Any] | None = None,
    **swarm: Any,
) -> World:
    """Return a world in which each generation is alive, but for those whose fate is given."""
    secrets, services = tuple(secrets), tuple(services)
    if tasks is None:
        tasks = [task_of(s, *(r.secret_name for r in s.references)) for s in services]
    views = {}
    for secret in secrets:
        fate = (lives or {}).get(secret.name, alive())
        custody = Gone() if isinstance(fate, Gone) else CUSTODY
        views[secret.id] = GenerationView(NOW, fate, custody)
    view = SwarmView(as_of=NOW, secrets=secrets, services=services, tasks=tuple(tasks), **swarm)
    return World(VaultView(as_of=NOW, paths=paths or {ROLE: DOCUMENT}, generations=views), view)


def gone(*names: str) -> Memory:
    """Return a memory in which a look before has not found these generations either."""
    return Memory(vanished={f"id-{name}": NOW - 5 for name in names})


def configured(*secrets: DesiredSecret, rollout: Rollout = Rollout(bake=2.0)) -> Desired:
    """Return a configuration."""
    return desired_of(secrets=secrets, rollout=rollout)


def actions(plan: Plan) -> list[Any]:
    """Return all actions of a plan."""
    return [action for chain in plan.chains for action in chain]


def minted(plan: Plan) -> list[str]:
    """Return the secrets of which a generation is made."""
    return [action.docker_name for action in actions(plan) if isinstance(action, MintGeneration)]


def renewed(plan: Plan) -> list[str]:
    """Return the generations whose lease is renewed."""
    found = (action for action in actions(plan) if isinstance(action, TendGeneration))
    return [action.docker_name for action in found if action.step == Tend.RENEW_LEASE]


def retired(plan: Plan) -> list[str]:
    """Return the generations that are marked to be ended."""
    found = (action for action in actions(plan) if isinstance(action, TendGeneration))
    return [action.docker_name for action in found if action.step == Tend.RETIRE]


def aside(by: By, place: str = "", since: float = NOW - HOUR) -> dict[str, str]:
    """Return the label that sets a generation aside."""
    key = f"aside.{place}" if place else "aside"
    return {key: SetAside(by, timestamp(since), "because").write()}


def test_a_newest_generation_that_vanished_is_replaced_though_an_older_one_is_alive() -> None:
    """A task on a node that is down keeps the older one; services never go back to it."""
    secrets = [generation(1, GOOD), generation(2, GOOD)]
    api = service_of("api", "db_v2")
    ghost = task_of(api, "db_v1", number=2, lost=True, desired_state="shutdown")
    seen = world(secrets, [api], {"db_v2": Gone()}, tasks=[task_of(api, "db_v2"), ghost])
    assert minted(decide(configured(leased("api")), seen, gone("db_v2"), NOW)) == ["db_v3"]


def test_what_is_revoked_first_is_replaced_at_once_though_an_older_one_is_alive() -> None:
    """Its services have a credential no more, so no window holds that up."""
    secrets = [generation(1, GOOD), generation(2, GOOD, {"retiring": "t", "at_once": "first"})]
    api, late = service_of("api", "db_v2"), service_of("late", "db_v1")
    wishes = {"db": Wish(do=Do.ROTATE, at="t", to=2, at_once=True, first=True)}
    seen = world(secrets, [api, late], {"db_v2": Gone()}, wishes=wishes)
    planned = decide(configured(leased("api", "late"), rollout=CLOSED), seen, Memory(), NOW)
    assert minted(planned) == ["db_v3"]


def test_trying_again_what_has_ended_makes_another_generation() -> None:
    """The marks of the one that failed are gone, and so is its credential."""
    secrets = [generation(1, GOOD), generation(2, {"retiring": "t", "ended": "t"})]
    seen = world(secrets, [service_of("api", "db_v1")])
    assert minted(decide(configured(leased("api")), seen, Memory(), NOW)) == ["db_v3"]


# --- An operator went back -----------------------------------------------------------------------

BACK = aside(By.OPERATOR)
ENDS_SOON = alive(age=30 * DAY - 600, left=600)


def test_after_a_rollback_the_end_of_what_is_in_use_still_forces_a_new_generation() -> None:
    """The one that was gone back from is alive for longer, and nobody goes there."""
    secrets = [generation(1, GOOD), generation(2, GOOD, BACK)]
    seen = world(secrets, [service_of("api", "db_v1")], {"db_v1": ENDS_SOON})
    assert minted(decide(configured(leased("api")), seen, Memory(), NOW)) == ["db_v3"]


def test_so_it_is_where_there_is_no_way_back_any_more() -> None:
    secrets = [generation(1, GOOD, {"retiring": "t", "ended": "t"}), generation(2, GOOD, BACK)]
    seen = world(secrets, [service_of("api", "db_v2")], {"db_v2": ENDS_SOON})
    assert minted(decide(configured(leased("api")), seen, Memory(), NOW)) == ["db_v3"]


def test_after_a_rollback_an_operator_may_ask_for_a_new_generation() -> None:
    """What was gone back from stays alive, and does not keep the change open for that."""
    secrets = [generation(1, GOOD), generation(2, GOOD, BACK)]
    wishes = {"db": Wish(do=Do.ROTATE, at="t", to=2)}
    seen = world(secrets, [service_of("api", "db_v1")], wishes=wishes)
    assert minted(decide(configured(leased("api")), seen, Memory(), NOW)) == ["db_v3"]


def test_after_a_rollback_no_rule_makes_a_new_generation() -> None:
    secrets = [generation(1, GOOD), generation(2, GOOD, BACK)]
    seen = world(secrets, [service_of("api", "db_v1")])
    assert minted(decide(configured(leased("api", rotate_every=DAY)), seen, Memory(), NOW)) == []


def test_what_services_go_back_to_is_not_ended_before_they_are_there() -> None:
    """I4: an operator's word, or the mark that it left, comes while nothing uses it any more."""
    api = service_of("api", "db_v2")
    wishes = {"db": Wish(do=Do.ROLLBACK, at="t", to=1)}
    asked = world([generation(1, GOOD), generation(2, GOOD)], [api], wishes=wishes)
    assert retired(decide(configured(leased("api")), asked, Memory(), NOW)) == []
    marked = world([generation(1, GOOD), generation(2, GOOD, BACK)], [api])
    assert retired(decide(configured(leased("api")), marked, Memory(), NOW)) == []
    plain = world([generation(1, GOOD), generation(2, GOOD)], [api])
    assert retired(decide(configured(leased("api")), plain, Memory(), NOW)) == ["db_v1"]


# --- Failures ------------------------------------------------------------------------------------


def test_three_failures_of_one_service_leave_no_other_to_its_credentials_end() -> None:
    """I8: the well service is on the newest generation, which ends as any other does."""
    mark = aside(By.FAILURE, "id-ill")
    secrets = [generation(1, GOOD), generation(4, {"tries": "3"}, mark)]
    services = [service_of("api", "db_v4"), service_of("ill", "db_v1")]
    seen = world(secrets, services, {"db_v4": ENDS_SOON})
    assert minted(decide(configured(leased("api", "ill")), seen, Memory(), NOW)) == ["db_v5"]
    early = world(secrets, services)
    assert minted(decide(configured(leased("api", "ill")), early, Memory(), NOW)) == []


def test_a_service_that_is_ill_on_a_good_generation_asks_for_no_further_one() -> None:
    """It is ill by itself; it keeps nobody from the next generation either."""
    secrets = [generation(1, GOOD), generation(2, GOOD, aside(By.SERVICE, "id-ill"))]
    services = [service_of("api", "db_v2"), service_of("ill", "db_v1")]
    seen = world(secrets, services)
    assert minted(decide(configured(leased("api", "ill")), seen, Memory(), NOW)) == []
    due = configured(leased("api", "ill", rotate_every=DAY))
    assert minted(decide(due, seen, Memory(), NOW)) == ["db_v3"]


def test_the_pause_after_a_failure_ends_before_the_credential_in_use_does() -> None:
    mark = aside(By.FAILURE, "id-api", NOW - 60)
    secrets = [generation(1, GOOD), generation(2, {"tries": "2", "retiring": "t"}, mark)]
    life = alive(age=30 * DAY - 1140, left=1140)
    seen = world(secrets, [service_of("api", "db_v1")], {"db_v1": life})
    assert minted(decide(configured(leased("api")), seen, Memory(), NOW)) == ["db_v3"]


# --- What the role, the configuration and operators change ---------------------------------------


def test_a_role_that_gives_more_than_before_ends_no_renewal() -> None:
    """That the latest renewal gave less than the role gives now is no sign of the lease's end."""
    pauses = {"db": Pause("t", "not now")}
    life, more = {"db_v1": alive(left=600)}, {ROLE: RoleDocument(DAY, 30 * DAY)}
    seen = world(
        [generation(1, GOOD)], [service_of("api", "db_v1")], life, paths=more, pauses=pauses
    )
    assert renewed(decide(configured(leased("api")), seen, Memory(), NOW)) == ["db_v1"]


def test_a_renewal_that_might_cut_a_lease_is_left_out() -> None:
    """Whoever lowers a role's longest life cuts leases with their next renewal."""
    life, less = {"db_v1": alive(left=600)}, {ROLE: RoleDocument(60.0, HOUR)}
    seen = world([generation(1, GOOD)], [service_of("api", "db_v1")], life, paths=less)
    assert renewed(decide(configured(leased("api")), seen, Memory(), NOW)) == []


def test_a_wish_that_is_noted_is_not_noted_again_and_again() -> None:
    """While nothing can be made, the one in use has its mark of before."""
    pauses = {"db": Pause("t", "not now")}
    wishes = {"db": Wish(do=Do.ROTATE, at="t", to=1, at_once=True)}
    for how in ("now", "first"):
        secret = generation(1, GOOD, {"retiring": "t", "at_once": how})
        seen = world([secret], [service_of("api", "db_v1")], wishes=wishes, pauses=pauses)
        planned = decide(configured(leased("api")), seen, Memory(), NOW)
        assert [a for a in actions(planned) if isinstance(a, Annotate)] == []


def test_the_turn_of_one_that_never_becomes_good_passes() -> None:
    """Four vanished; the first was replaced, and no service is there to prove it."""
    names = ("a", "b", "c", "d")
    secrets = [generation(1, GOOD, name=name) for name in names]
    fresh = generation(2, {"vanished": timestamp(NOW - HOUR)}, name="a")
    services = [service_of(name, f"{name}_v1") for name in names[1:]]
    lives = {f"{name}_v1": Gone() for name in names}
    wanted = configured(*(leased(name, name=name) for name in names))
    for age, expected in ((30.0, []), (700.0, ["b_v2"])):
        seen = world([*secrets, replace(fresh, created=NOW - age)], services, lives)
        assert minted(decide(wanted, seen, gone(*lives), NOW)) == expected


def test_a_lease_is_kept_whose_custody_is_of_a_former_configuration() -> None:
    """Its token is not touched; the lease is renewed, replaced in time, and ended as any other."""
    former = replace(CUSTODY, foreign=True)
    secrets = [generation(1, GOOD)]
    seen = world(secrets, [service_of("api", "db_v1")], {"db_v1": alive(left=600)})
    fates = {"id-db_v1": GenerationView(NOW, alive(left=600), former)}
    kept = replace(seen, vault=replace(seen.vault, generations=fates))
    planned = decide(configured(leased("api")), kept, Memory(), NOW)
    assert renewed(planned) == ["db_v1"]
    assert minted(planned) == []
    fates = {"id-db_v1": GenerationView(NOW, alive(), replace(former, ends=NOW + 600))}
    ending = replace(seen, vault=replace(seen.vault, generations=fates))
    assert minted(decide(configured(leased("api")), ending, Memory(), NOW)) == ["db_v2"]


def test_the_custody_of_a_former_configuration_is_let_alone_after_its_lease() -> None:
    former = replace(CUSTODY, foreign=True)
    secrets = [generation(1, GOOD, {"retiring": "t"}), generation(2, GOOD)]
    seen = world(secrets, [service_of("api", "db_v2")])
    fates = {**seen.vault.generations, "id-db_v1": GenerationView(NOW, Gone(), former)}
    over = replace(seen, vault=replace(seen.vault, generations=fates))
    found = actions(decide(configured(leased("api")), over, Memory(), NOW))
    assert [a for a in found if isinstance(a, TendGeneration)] == []
    assert [a.secret_id for a in found if isinstance(a, Annotate)] == ["id-db_v1"]


def test_no_window_holds_what_leaves_a_dead_credential_of_a_former_role() -> None:
    """Hard ends win also where the configuration has another source by now."""
    former = DatabaseRole("", "database", "former")
    secrets = [generation(1, GOOD, role=former), generation(2)]
    seen = world(secrets, [service_of("api", "db_v1")], {"db_v1": Gone()})
    planned = decide(configured(leased("api"), rollout=CLOSED), seen, gone("db_v1"), NOW)
    assert [a.service_name for a in actions(planned) if isinstance(a, RollService)] == ["api"]


def test_a_stack_file_is_never_given_a_generation_that_ends() -> None:
    """What was revoked first is the newest until the next one is made."""
    secrets = [generation(1, GOOD), generation(2, GOOD, {"retiring": "t", "at_once": "first"})]
    names = current_names(configured(leased("api")), world(secrets).swarm)
    assert names.current["db"].docker_name == "db_v1"
