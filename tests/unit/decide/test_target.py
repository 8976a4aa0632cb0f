"""Which version should a secret have?"""

from __future__ import annotations

import pytest

from bridge.decide.cycle import decide
from bridge.model.desired import KvPath
from bridge.model.memory import Memory
from bridge.model.mirror import By, SetAside, Verdict
from bridge.model.naming import Identity
from bridge.model.plan import CreateSecret
from bridge.model.reasons import Reason, State
from bridge.model.world import KvDocument, Unreadable
from tests.support.builders import (
    NOW,
    PATH,
    desired_of,
    document,
    foreign,
    identity,
    plan_of,
    secret_of,
    service_of,
    world_of,
)


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
    plan = plan_of(desired_of("api"), world)
    assert not plan.chains
    assert plan.conditions[0].state == State.HELD
    assert plan.conditions[0].reason == reason


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
    assert create.docker_name == "db_v1_1793577600500"


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


def test_newer_orders_by_the_life_of_the_path_then_by_number() -> None:
    """Version 1 of a later life is newer than version 9 of an earlier one."""
    later = Identity(PATH, "2026-11-20T00:00:00Z", 1, "2026-11-20T00:00:00Z")
    assert identity(9) < later
    assert identity(9) < identity(10)


def test_times_compare_as_times_though_vault_drops_zeros() -> None:
    """``.5Z`` is later than ``.45Z``, and ``Z`` alone is earlier than both."""
    path = PATH
    early = Identity(path, "2026-11-01T00:00:00Z", 1, "x")
    assert [
        Identity(path, f"2026-11-01T00:00:00{f}Z", 1, "2026-11-01T00:00:00Z").order[0]
        for f in ("", ".45", ".5", ".500000001")
    ] == sorted(
        Identity(path, f"2026-11-01T00:00:00{f}Z", 1, "2026-11-01T00:00:00Z").order[0]
        for f in ("", ".45", ".5", ".500000001")
    )
    assert early.version == 1


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
