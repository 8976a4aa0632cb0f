"""Which files of a service does a mapping mean, and can the service have them?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.decide.services.files import files_of
from bridge.model.actions import RollService
from bridge.model.desired import Desired, FileFields, Mapping
from bridge.model.docker_secret import DockerSecret
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.service import Reference
from bridge.model.spec import Swap, moved
from bridge.model.world import World
from tests.support.builders import (
    actions_of,
    desired_of,
    document,
    foreign,
    plan_of,
    secret_of,
    service_of,
    wanted,
    world_of,
)

PRIVATE = ("1000", "1000", 0o400)


def ref(target: str, *fields: object, of: str = "db_v1") -> Reference:
    """Return a reference to a Docker secret, with other fields than Docker's own."""
    uid, gid, mode = fields or ("0", "0", 0o444)
    return Reference(
        secret_id=f"id-{of}",
        secret_name=of,
        file_name=target,
        uid=str(uid),
        gid=str(gid),
        mode=int(str(mode)),
    )


def configured(*files: FileFields) -> Desired:
    """Return a configuration that maps files of ``db`` to one service."""
    return desired_of(secrets=[replace(wanted("db"), services=(Mapping("api", files),))])


def world(*references: Reference, current: int = 2, others: tuple[DockerSecret, ...] = ()) -> World:
    """Return a service with references; ``current`` is the newest version that is mirrored."""
    secrets = [*map(secret_of, range(1, current + 1)), *others]
    return world_of(document(current), secrets, [service_of("api", references=references)])


def after(plan: Plan, *references: Reference) -> list[Reference]:
    """Return what a plan makes of a service's references."""
    (roll,) = actions_of(plan, RollService)
    raw: list[object] = [reference.write() for reference in references]
    for swap in roll.swaps:
        raw = list(moved(raw, swap))  # type: ignore[arg-type]
    return [Reference.read(each) for each in raw]  # type: ignore[arg-type]


def rolled(desired: Desired, *references: Reference) -> list[Reference]:
    """Return a service's references after a roll from the first version to the second."""
    return after(plan_of(desired, world(*references)), *references)


def held(desired: Desired, *references: Reference) -> tuple[Reason, str]:
    """Return the one hold of a plan that rolls nothing."""
    plan = plan_of(desired, world(*references))
    assert not actions_of(plan, RollService)
    (hold,) = plan.holds
    return hold.reason, hold.message


# --- the cases, by their numbers -----------------------------------------------------------------


def test_1_a_file_with_the_target_is_changed_and_no_other() -> None:
    """I3."""
    references = (ref("two"), ref("key", of="key_v1"), ref("/etc/two.txt", *PRIVATE))
    assert rolled(configured(FileFields("two", uid="5", mode=0o440)), *references) == [
        ref("two", "5", "0", 0o440, of="db_v2"),
        ref("key", of="key_v1"),
        ref("/etc/two.txt", *PRIVATE, of="db_v2"),
    ]


@pytest.mark.parametrize("spelled", ["/run/secrets/db", "./db", "/run//secrets/db"])
def test_1_a_target_stays_as_it_is_spelled(spelled: str) -> None:
    assert rolled(configured(FileFields("db")), ref(spelled)) == [ref(spelled, of="db_v2")]


def test_2_the_only_file_is_renamed() -> None:
    assert rolled(configured(FileFields("new", gid="7")), ref("old", *PRIVATE)) == [
        ref("new", "1000", "7", 0o400, of="db_v2")
    ]


@pytest.mark.parametrize("files", [(FileFields("c"),), (FileFields("c"), FileFields("a"))])
def test_3_a_target_that_is_not_there_is_added_beside(files: tuple[FileFields, ...]) -> None:
    """Before the others: the last one decides on the owner and the mode of them all."""
    references = (ref("key", of="key_v1"), ref("a"), ref("b", *PRIVATE))
    assert rolled(configured(*files), *references) == [
        ref("key", of="key_v1"),
        ref("c", of="db_v2"),
        ref("a", of="db_v2"),
        ref("b", *PRIVATE, of="db_v2"),
    ]


def test_3_what_is_added_is_shown_and_comes_with_the_next_roll() -> None:
    plan = plan_of(configured(FileFields("c")), world(ref("a"), ref("b"), current=1))
    assert not actions_of(plan, RollService)
    (notice,) = plan.notices
    assert (notice.reason, notice.message) == (
        Reason.FIELDS_CHANGED,
        "add the target c with the next roll",
    )


def test_4_without_a_target_the_only_file_is_meant() -> None:
    assert rolled(configured(FileFields(mode=0o400)), ref("pw")) == [
        ref("pw", "0", "0", 0o400, of="db_v2")
    ]


@pytest.mark.parametrize("files", [(), (FileFields("b", gid="9"),)])
def test_5_without_a_target_the_default_one_of_several_is_meant(
    files: tuple[FileFields, ...],
) -> None:
    desired = configured(FileFields(uid="5"), *files)
    assert rolled(desired, ref("/run/secrets/db"), ref("b")) == [
        ref("/run/secrets/db", "5", "0", 0o444, of="db_v2"),
        ref("b", "0", "9" if files else "0", 0o444, of="db_v2"),
    ]


def test_6_which_of_several_is_meant_is_asked() -> None:
    """Where nothing is to be changed there is nothing to ask; the advice works."""
    references = (ref("a"), ref("b", *PRIVATE))
    reason, message = held(configured(FileFields(mode=0o400)), *references)
    assert reason == Reason.TARGET_TAKEN
    assert "under the targets a, b, and none is db: give the `target`" in message
    everything = [ref("a", of="db_v2"), ref("b", *PRIVATE, of="db_v2")]
    assert rolled(configured(FileFields()), *references) == everything
    assert rolled(configured(FileFields("a")), *references) == everything


def test_7_several_targets_are_added_in_the_order_of_the_list() -> None:
    """The engine gives all of them what the last one says, and the plan says so."""
    desired = configured(FileFields("b"), FileFields("a", uid="7", mode=0o400))
    plan = plan_of(desired, world())
    assert after(plan) == [ref("b", of="db_v2"), ref("a", "7", "0", 0o400, of="db_v2")]
    (notice,) = plan.notices
    assert notice.reason == Reason.FIELDS_SHARED
    assert "those of a (7, 0, 0400) hold for b too" in notice.message


def test_7_all_targets_of_a_hand_made_secret_are_taken_over() -> None:
    """Else the service would have two contents of one name (I2)."""
    references = (ref("db", of="db"), ref("/etc/db", *PRIVATE, of="db"), ref("x", of="db_v9"))
    for file in (FileFields(uid="5"), FileFields("db", uid="5")):
        plan = plan_of(configured(file), world(*references, others=(foreign("db"),)))
        assert after(plan, *references) == [
            ref("db", "5", "0", 0o444, of="db_v2"),
            ref("/etc/db", *PRIVATE, of="db_v2"),
            ref("x", of="db_v9"),
        ]


def test_7_a_hand_made_secret_under_a_further_target_is_taken_over() -> None:
    references = (ref("a"), ref("b", *PRIVATE, of="db_v9"))
    plan = plan_of(configured(FileFields("a"), FileFields("b")), world(*references))
    assert after(plan, *references) == [ref("a", of="db_v2"), ref("b", *PRIVATE, of="db_v2")]


# --- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize("current", [0, 1, 2])
@pytest.mark.parametrize(
    ("target", "theirs"),
    [
        ("x", "./x"),
        ("x", "/run/secrets/x"),
        ("certs/x", "certs"),
        ("certs/x", "/run/secrets/certs/x/y"),
        ("certs/x", "/run/secrets"),
        ("certs", "certs/y"),
    ],
)
def test_another_file_in_the_way_is_foreseen(target: str, theirs: str, current: int) -> None:
    """Before a version is mirrored, while the service is on the newest one, and before a roll."""
    others = (ref("a"), ref("b")) if current else ()
    plan = plan_of(
        configured(FileFields(target)),
        world(*others, ref(theirs, of="key_v1"), current=current),
    )
    assert not actions_of(plan, RollService)
    assert Reason.TARGET_TAKEN in {hold.reason for hold in plan.holds}


def test_two_targets_of_one_secret_that_are_in_each_others_way_are_foreseen() -> None:
    """Whose file is in the way is nobody else's then."""
    reason, message = held(configured(FileFields("certs"), FileFields("certs/x")), ref("certs"))
    assert reason == Reason.TARGET_TAKEN
    assert "cannot have both" in message
    assert "certs/x" in message


def test_which_of_several_hand_made_secrets_is_meant_is_asked() -> None:
    """Unless one of them is under the default target, or the configuration names one."""
    others = (foreign("db"), foreign("db_v7"))
    apart = (ref("a", of="db"), ref("b", of="db_v7"))
    plan = plan_of(configured(FileFields()), world(*apart, others=others))
    assert not actions_of(plan, RollService)
    (hold,) = plan.holds
    assert hold.reason == Reason.TARGET_TAKEN
    assert "refers to db, db_v7: give `target`" in hold.message
    named = plan_of(configured(FileFields("b")), world(*apart, others=others))
    assert after(named, *apart) == [apart[0], ref("b", of="db_v2")]
    default = (ref("db", of="db"), apart[1])
    plan = plan_of(configured(FileFields()), world(*default, others=others))
    assert after(plan, *default) == [ref("db", of="db_v2"), apart[1]]


def test_what_the_engine_took_before_is_not_held() -> None:
    """``x`` beside ``/run/secrets/x`` hides one of the two, and is as somebody wants it."""
    references = (ref("db"), ref("/run/secrets/db", of="key_v1"))
    assert rolled(configured(FileFields()), *references)[0] == ref("db", of="db_v2")


def test_files_of_one_secret_that_would_differ_are_reported() -> None:
    """Only where the configuration changes something: else nobody wants to know each time."""
    references = (ref("a"), ref("b", *PRIVATE))
    plan = plan_of(configured(FileFields("a", uid="5")), world(*references))
    assert [notice.reason for notice in plan.notices] == [Reason.FIELDS_SHARED]
    assert plan_of(configured(FileFields("a")), world(*references)).notices == ()
    alike = configured(FileFields("a", *PRIVATE), FileFields("b"))
    assert plan_of(alike, world(*references)).notices == ()


# --- going back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("added", [(), (FileFields("c", mode=0o400),)])
def test_going_back_gives_each_file_its_place_back(added: tuple[FileFields, ...]) -> None:
    """Another order would restart the tasks that are well."""
    before = [ref("a"), ref("key", of="key_v1"), ref("b", *PRIVATE)]
    now = rolled(configured(FileFields("a", uid="5"), *added), *before)
    assert [each.target for each in now] == [*(file.target for file in added), "a", "key", "b"]
    swap = Swap(
        secret="db",
        to_id="id-db_v1",
        to_name="db_v1",
        from_name="db_v2",
        replaces=frozenset({"id-db_v2"}),
        restore=(before[0].write(), before[2].write()),
    )
    raw = [each.write() for each in now]
    assert list(map(Reference.read, moved(raw, swap))) == before


def test_a_service_that_is_not_mapped_keeps_all_its_files() -> None:
    """I3."""
    references = (ref("a", *PRIVATE), ref("b"))
    seen = world(*references)
    found = files_of(
        seen.swarm.services[0], "db", (), frozenset({"id-db_v1", "id-db_v2"}), seen.swarm
    )
    assert (found.references, found.edits, found.adds) == (references, (), ())
