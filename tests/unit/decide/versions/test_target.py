"""Which version should a secret have?"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.model.actions import Annotate, CreateSecret, RollService
from bridge.model.desired import Desired
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import Identity
from bridge.model.labels import labels_of
from bridge.model.memory import Memory
from bridge.model.names import names_of
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.service import UpdateState
from bridge.model.set_aside import By, SetAside
from bridge.model.vault_view import KvDocument, KvVersion, Unreadable, VaultView
from bridge.model.verdicts import Verdict
from bridge.model.world import World
from bridge.sources.kv.source import KvPath
from tests.support.builders import (
    BORN,
    NOW,
    PATH,
    after,
    created,
    desired_of,
    document,
    foreign,
    identity,
    plan_of,
    reference,
    secret_of,
    service_of,
    world_of,
)
from tests.unit.decide.services.test_judge import GOOD


def creates(plan: object) -> list[CreateSecret]:
    """Return the creations of a plan."""
    chains = plan.chains  # type: ignore[attr-defined]
    return [action for chain in chains for action in chain if isinstance(action, CreateSecret)]


def test_a_new_version_is_mirrored_under_its_number() -> None:
    """Version 7 of the path becomes ``db_v7``, whatever came before it."""
    plan = plan_of(desired_of(), world_of(document(7), [secret_of(3)]))
    (create,) = creates(plan)
    assert (create.docker_name, create.identity) == ("db_v7", identity(7))
    assert plan.conditions[0].state == State.ROLLING


def test_only_the_newest_of_several_new_versions_is_mirrored() -> None:
    """Versions that were overtaken before anybody looked are never read."""
    plan = plan_of(desired_of(), world_of(document(9), [secret_of(5)]))
    assert [create.identity.version for create in creates(plan)] == [9]


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (document(0), Reason.NO_VERSION),
        (document(2, destroyed=True), Reason.VERSION_DESTROYED),
        (document(2, deletion_time=NOW - 1), Reason.VERSION_DELETED),
        (Unreadable(Reason.PATH_MISSING, "nothing there"), Reason.PATH_MISSING),
        (Unreadable(Reason.VAULT_UNREACHABLE, "no answer"), Reason.VAULT_UNREACHABLE),
        (document(1), Reason.VERSION_WENT_BACK),
    ],
)
def test_what_went_missing_holds_and_changes_nothing(
    seen: KvDocument | Unreadable, reason: Reason
) -> None:
    """I9: no version, a deleted one, an older one or no answer at all roll and remove nothing."""
    world = world_of(
        seen,
        [secret_of(1), secret_of(2), secret_of(3, labels={"vault-bridge.good": "x"})],
        [service_of("api", "db_v3")],
    )
    first = plan_of(desired_of("api"), world)
    plan, _ = after(desired_of("api"), world, 1.0)
    later = replace(world, vault=replace(world.vault, as_of=NOW + 1))
    proved, _ = after(desired_of("api"), later, memory=remember_once(desired_of("api"), world))
    for each in (first, plan, proved):
        assert not each.chains
    assert proved.conditions[0].state == State.HELD
    assert proved.conditions[0].reason == reason
    doubtful = reason in (Reason.PATH_MISSING, Reason.VERSION_WENT_BACK)
    for each in (first, plan):  # the same look again proves no more
        assert bool(each.doubtful) == doubtful
        assert each.conditions[0].reason == (Reason.LOOKING_AGAIN if doubtful else reason)
    assert not proved.doubtful


def remember_once(desired: Desired, world: World) -> Memory:
    """Return what is remembered of one cycle."""
    return remember(desired, Memory(), world, (), NOW)


def test_what_never_was_there_is_said_at_once() -> None:
    """A path that was mistyped needs no second look."""
    plan = plan_of(desired_of(), world_of(Unreadable(Reason.PATH_MISSING, "nothing there")))
    assert plan.conditions[0].reason == Reason.PATH_MISSING
    assert not plan.doubtful


LATER = "2026-11-20T00:00:00Z"
"""After all versions that ``created`` dates."""


def _restored(*mirrors: DockerSecret) -> World:
    """Vault was restored to version 1, and version 2 written anew; 4 had been mirrored."""
    versions = {1: KvVersion(created(1)), 2: KvVersion(LATER)}
    api = service_of("api", "db_v4")
    return world_of(KvDocument(BORN, 2, versions), [secret_of(4, labels=GOOD), *mirrors], [api])


def _second_2(age: float) -> DockerSecret:
    made = Identity(PATH, BORN, 2, LATER)
    return DockerSecret("id-db_v2", "db_v2", NOW - age, labels_of("default", "db", made))


def test_what_was_written_after_a_restore_is_newer_whatever_its_number() -> None:
    """The former timeline is set aside once the new version is mirrored, not before."""
    plan = plan_of(desired_of("api"), _restored())
    (create,) = creates(plan)
    assert create.identity.created == LATER
    assert len(plan.chains) == 1
    marked = plan_of(desired_of("api"), _restored(_second_2(1.0)))
    ((note,),) = marked.chains
    assert isinstance(note, Annotate)
    assert (note.docker_name, list(note.put)) == ("db_v4", ["vault-bridge.aside"])


def test_after_a_restore_services_move_to_what_was_written_since() -> None:
    """And stay there while Vault is away: the mark is in the swarm."""
    mark = {"vault-bridge.aside": SetAside(By.RESTORE, "x", "restored").write()}
    world = _restored(_second_2(1.0))
    four = secret_of(4, labels={**GOOD, **mark})
    for vault in (world.vault, VaultView(as_of=NOW, paths={PATH: AWAY})):
        now = World(vault, replace(world.swarm, secrets=(four, _second_2(1.0))))
        rolls = [a for c in plan_of(desired_of("api"), now).chains for a in c]
        (roll,) = [action for action in rolls if isinstance(action, RollService)]
        assert roll.swaps[0].to_name == "db_v2"


AWAY = Unreadable(Reason.VAULT_UNREACHABLE, "no answer")


def _failed_since(on: str, **changes: Any) -> Plan:
    """What was written since the restore fails; version 1 is older than what it was well on."""
    mark = {"vault-bridge.aside": SetAside(By.RESTORE, "x", "restored").write()}
    four = secret_of(4, labels={**GOOD, **mark})
    before = RollRecord(before=(reference("db_v4").write(),), index=10, at="t").write()
    since = _second_2(1.0)
    failed = {"vault-bridge.aside.id-api": SetAside(By.FAILURE, "x", "died").write()}
    labels = {**since.labels, "vault-bridge.roll.id-api": before, **failed}
    first = secret_of(1, labels=GOOD)
    world = _restored()
    secrets = (first, four, replace(since, labels=labels))
    service = service_of("api", on, **changes)
    view = replace(world.swarm, secrets=secrets, services=(service,))
    return plan_of(desired_of("api"), World(world.vault, view))


def test_what_fails_after_a_restore_goes_back_to_what_it_was_well_on() -> None:
    """Not to what is newest in Vault: that may be long revoked."""
    plan = _failed_since("db_v2", update=UpdateState.PAUSED)
    (roll,) = [a for chain in plan.chains for a in chain if isinstance(a, RollService)]
    assert roll.swaps[0].to_name == "db_v4"
    gone_back = _failed_since("db_v4", update=UpdateState.ROLLBACK_COMPLETED)
    assert not [a for chain in gone_back.chains for a in chain if isinstance(a, RollService)]


def test_a_standby_that_lags_is_no_restore() -> None:
    """What it shows was mirrored before what came after it, whatever the clocks of Vault say."""
    plan = plan_of(desired_of("api"), _restored(_second_2(2e6)))
    assert not plan.chains


def test_a_version_that_ends_later_is_alive_until_then() -> None:
    """``delete_version_after`` writes a deletion time in the future; the plan wakes up for it."""
    plan = plan_of(desired_of(), world_of(document(2, deletion_time=NOW + 60)))
    assert [create.identity.version for create in creates(plan)] == [2]
    assert plan.wake_at == NOW + 60


def test_a_path_written_anew_gives_another_secret_under_a_clash_name() -> None:
    """I12: version 1 of a second life of the path is not the ``db_v1`` of the first."""
    second = document(1, born="2026-11-20T00:00:00Z")
    plan = plan_of(desired_of(), world_of(second, [secret_of(1)]))
    (create,) = creates(plan)
    assert create.docker_name == names_of("db", create.identity)[1]
    assert re.fullmatch("db_v1_[a-z2-7]{4}", create.docker_name)


def test_a_third_life_gets_a_name_even_where_its_first_suffix_is_taken() -> None:
    """I12: four characters may come twice; the next ones do not."""
    second = document(1, born="2026-11-20T00:00:00Z")
    (create,) = creates(plan_of(desired_of(), world_of(second, [secret_of(1)])))
    _, first_choice, second_choice, *_ = names_of("db", create.identity)
    taken = secret_of(1, born="2026-11-10T00:00:00Z", docker_name=first_choice)
    (create,) = creates(plan_of(desired_of(), world_of(second, [secret_of(1), taken])))
    assert create.docker_name == second_choice
    foreigner = [secret_of(1), foreign(first_choice)]
    assert not creates(plan_of(desired_of(), world_of(second, foreigner)))


@pytest.mark.parametrize("name", ["db_v1_1793577600500", "db_v1_abcd", "db_one"])
def test_a_version_is_known_by_its_labels_whatever_its_name(name: str) -> None:
    """Names of former releases had a longer suffix; nothing is made or rolled for that."""
    born = "2026-11-20T00:00:00Z"
    second = secret_of(1, born=born, docker_name=name, labels=GOOD)
    world = world_of(document(1, born=born), [secret_of(1), second], [service_of("api", name)])
    plan = plan_of(desired_of("api"), world)
    assert not plan.chains
    assert plan.conditions[0].running_version == 1
    assert plan.conditions[0].state == State.SYNCED


def test_another_path_in_the_configuration_gives_another_secret_under_a_clash_name() -> None:
    """I12: version 1 of the new path is not taken for that of the old one."""
    old = secret_of(1, path=KvPath("", "secret", "old/db"))
    (create,) = creates(plan_of(desired_of(), world_of(document(1), [old])))
    assert create.docker_name.startswith("db_v1_")


@pytest.mark.parametrize(
    "holder", [foreign("db_v1"), foreign("DB_V1"), secret_of(1, instance="other")]
)
def test_a_name_that_is_not_ours_is_held_and_the_value_not_read(holder: object) -> None:
    """A foreign secret, one that differs in case only, and another instance's stay as they are."""
    plan = plan_of(desired_of(), world_of(document(1), [holder]))  # type: ignore[list-item]
    assert not plan.chains
    assert plan.conditions[0].reason == Reason.NOT_OWNED


def test_a_refused_content_is_not_read_again_until_something_changed() -> None:
    """The verdict holds for this identity and this shape, and for nothing else."""
    verdict = Verdict(identity(1), "raw:password", Reason.FIELD_MISSING, "no such field")
    held = plan_of(desired_of(), world_of(document(1), verdicts={"db": verdict}))
    assert not creates(held)
    assert held.conditions[0].reason == Reason.FIELD_MISSING
    newer = plan_of(desired_of(), world_of(document(2), verdicts={"db": verdict}))
    assert creates(newer)
    reshaped = Verdict(identity(1), "raw:pass", Reason.FIELD_MISSING, "no such field")
    assert creates(plan_of(desired_of(), world_of(document(1), verdicts={"db": reshaped})))


def test_a_version_set_aside_for_the_name_is_not_given_to_anybody() -> None:
    """I11: the newest version that is not set aside is the target."""
    aside = SetAside(By.OPERATOR, "t", "why").write()
    world = world_of(
        document(2),
        [
            secret_of(1, labels={"vault-bridge.good": "x"}),
            secret_of(2, labels={"vault-bridge.aside": aside}),
        ],
        [service_of("api", "db_v1")],
    )
    assert not decide(desired_of("api"), world, Memory(), NOW).chains
