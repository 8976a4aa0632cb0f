"""A changed content: it is reported, and comes with the next version or on an operator's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.actions import (
    Annotate,
    CreateSecret,
    MintGeneration,
    NoteState,
    RemoveSecret,
    RollService,
)
from bridge.model.desired import (
    Content,
    Decode,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    KvLease,
    Retain,
    TrailingNewline,
)
from bridge.model.desired import Mapping as ServiceMapping
from bridge.model.docker_secret import DockerSecret
from bridge.model.labels import GOOD, REMADE, SHAPE
from bridge.model.leased import lease_labels
from bridge.model.memory import Memory
from bridge.model.names import names_of
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.set_aside import By, SetAside
from bridge.model.vault_view import KvDocument, Unreadable
from bridge.model.verdicts import Verdict
from bridge.model.wishes import Do, Wish
from tests.support.builders import (
    PATH,
    ROLE,
    actions_of,
    desired_of,
    document,
    generation_secret,
    identity,
    leased,
    leased_world,
    plan_of,
    reference,
    secret_of,
    seen,
    service_of,
    task_of,
    world_of,
)

RAW, JSON = Content(format=Format.RAW, field="password"), Content(format=Format.JSON)
ASIDE = {"vault-bridge.aside.id-api": SetAside(By.FAILURE, "t", "died").write()}
OPERATOR = {"vault-bridge.aside": SetAside(By.OPERATOR, "t", "because").write()}
AGAIN = names_of("db", identity(3), 1)[0]


def desired(content: Content = JSON, **more: Any) -> Desired:
    """Return the secret ``db`` with a content, on one service."""
    mapping = ServiceMapping("api", (FileFields(),))
    return desired_of(
        secrets=[DesiredSecret(name="db", source=PATH, content=content, services=(mapping,))],
        **more,
    )


def made(
    content: Content | None = RAW,
    remade: int = 0,
    labels: Mapping[str, str] | None = None,
    *,
    version: int = 3,
) -> DockerSecret:
    """Return a good mirror that was made with a content; None is from an older bridge."""
    own = {GOOD: "t"} | ({SHAPE: content.shape} if content else {}) | dict(labels or {})
    own |= {REMADE: str(remade)} if remade else {}
    name = names_of("db", identity(version), remade)[0]
    return secret_of(version, labels=own, docker_name=name)


def plan(
    *secrets: DockerSecret,
    on: str = "db_v3",
    content: Content = JSON,
    vault: KvDocument | Unreadable | None = None,
    wished: bool | str | Wish = True,
    memory: Memory = Memory(),
    **more: Any,
) -> Plan:
    """Plan for a service that is on one of the secrets, and a wish to make version 3 anew."""
    shape = wished if isinstance(wished, str) else content.shape
    wish = wished if isinstance(wished, Wish) else Wish(do=Do.RESYNC, at="t", shape=shape)
    wishes = {"db": wish} if wished else {}
    service = service_of("api", references=(reference(on),))
    world = world_of(vault or document(3), secrets, [service], wishes=wishes, **more)
    return plan_of(desired(content), world, memory)


def refusal(planned: Plan) -> str:
    """Return why the wish was refused just now."""
    (note,) = actions_of(planned, NoteState)
    wish = Wish.read(note.put["vault-bridge.wish.db"])
    assert wish
    return wish.refused


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (RAW, JSON),
        (RAW, Content(format=Format.RAW, field="other")),
        (RAW, Content(format=Format.RAW, field="password", decode=Decode.BASE64)),
        (RAW, Content(format=Format.RAW, field="password", trailing_newline=TrailingNewline.ADD)),
        (RAW, Content(format=Format.RAW, field="password", template_driver="golang")),
        (
            Content(format=Format.TEMPLATE, template="a"),
            Content(format=Format.TEMPLATE, template="b"),
        ),
    ],
)
def test_a_changed_content_is_reported_and_rolls_nothing_by_itself(
    before: Content, now: Content
) -> None:
    planned = plan(made(before), content=now, wished=False)
    assert not planned.chains
    assert planned.finished
    (notice,) = planned.notices
    assert notice.reason == Reason.CONTENT_CHANGED
    assert "vault-bridge resync db" in notice.message
    condition = planned.conditions[0]
    assert (condition.state, condition.reason) == (State.SYNCED, Reason.CONTENT_CHANGED)
    assert "sha" not in notice.message
    same = plan(made(now), content=now, wished=False)
    assert not same.notices
    assert same.conditions[0].reason == Reason.UP_TO_DATE


def test_what_an_older_bridge_made_counts_as_unchanged() -> None:
    assert not plan(made(None), wished=False).notices


def test_a_new_version_brings_the_content_and_says_nothing_more() -> None:
    planned = plan(made(version=2), on="db_v2", wished=False)
    (create,) = actions_of(planned, CreateSecret)
    assert create.labels[SHAPE] == JSON.shape
    assert REMADE not in create.labels
    assert not planned.notices


@pytest.mark.parametrize("before", [RAW, None])
def test_resync_makes_the_version_anew_under_a_suffix(before: Content | None) -> None:
    """The wish stays until it is there; what has the same bytes is left where it is."""
    planned = plan(made(before))
    (create,) = actions_of(planned, CreateSecret)
    assert (create.docker_name, create.identity) == (AGAIN, identity(3))
    assert AGAIN.startswith("db_v3_")
    assert (create.labels[SHAPE], create.labels[REMADE]) == (JSON.shape, "1")
    assert create.former == ("id-db_v3", "db_v3")
    assert not actions_of(planned, NoteState)
    assert not planned.notices


def test_another_template_driver_makes_another_file_of_the_same_bytes() -> None:
    planned = plan(made(), content=replace(RAW, template_driver="golang"))
    (create,) = actions_of(planned, CreateSecret)
    assert create.former is None


def test_services_move_to_what_was_made_anew_and_the_wish_is_over() -> None:
    fresh = secret_of(3, labels={SHAPE: JSON.shape, REMADE: "1"}, docker_name=AGAIN)
    planned = plan(made(), fresh)
    (note,) = actions_of(planned, NoteState)
    assert list(note.drop) == ["vault-bridge.wish.db"]
    (roll,) = actions_of(plan(made(), fresh, wished=False), RollService)
    assert (roll.reason, roll.swaps[0].to_name) == (Reason.CONTENT_CHANGED, AGAIN)


def test_resync_is_repeated_without_effect() -> None:
    planned = plan(made(), made(JSON, 1), on=AGAIN)
    (note,) = actions_of(planned, NoteState)
    assert note.drop
    assert not actions_of(planned, CreateSecret)
    assert not plan(made(), made(JSON, 1), on=AGAIN, wished=False).chains


def test_a_content_that_comes_back_is_made_anew_once_more() -> None:
    planned = plan(made(), made(JSON, 1), on=AGAIN, content=RAW)
    (create,) = actions_of(planned, CreateSecret)
    assert create.docker_name == names_of("db", identity(3), 2)[0]
    assert create.labels[REMADE] == "2"


def test_what_was_made_anew_and_fails_is_left_for_the_former_one() -> None:
    """The marks are those of each Docker secret; it is not made once more."""
    record = RollRecord(before=(reference("db_v3").write(),), index=9, at="t").write()
    failed = made(JSON, 1, {**ASIDE, "vault-bridge.roll.id-api": record})
    (roll,) = actions_of(plan(made(), failed, on=AGAIN, wished=False), RollService)
    assert roll.reason == Reason.GOING_BACK
    assert roll.swaps[0].to_name == "db_v3"
    there = plan(made(), made(JSON, 1, ASIDE), wished=False)
    assert not actions_of(there, RollService)
    again = plan(made(), made(JSON, 1, ASIDE))
    assert not actions_of(again, CreateSecret)
    assert "vault-bridge retry db" in refusal(again)


def test_a_version_that_failed_in_its_former_content_is_made_anew() -> None:
    """For all services, as with ``on_failure: all``: the mended template is tried."""
    aside = {"vault-bridge.aside": SetAside(By.FAILURE, "t", "died").write()}
    planned = plan(made(version=2), made(RAW, 0, aside), on="db_v2")
    (create,) = actions_of(planned, CreateSecret)
    assert create.docker_name == AGAIN


def test_rollback_names_the_docker_secret_to_go_back_to() -> None:
    """Both are version 3; without a name it is the latest that is well."""
    secrets = (made(version=2), made(), made(JSON, 1))
    for secret, marked in (("db_v3", {AGAIN}), ("", set())):
        wish = Wish(do=Do.ROLLBACK, at="t", to=3, secret=secret)
        assert Wish.read(wish.write()) == wish
        planned = plan(*secrets, on=AGAIN, wished=wish)
        notes = [n for n in actions_of(planned, Annotate) if n.reason == Reason.SET_ASIDE]
        assert {note.docker_name for note in notes} == marked
    back = plan(made(), made(JSON, 1, OPERATOR), on=AGAIN, wished=False)
    (roll,) = actions_of(back, RollService)
    assert roll.swaps[0].to_name == "db_v3"
    assert "vault-bridge resume db" in refusal(plan(made(), made(JSON, 1, OPERATOR)))


def test_what_cannot_be_read_again_is_refused_and_what_passes_is_waited_for() -> None:
    gone = plan(made(), vault=document(3, destroyed=True))
    assert "destroyed" in refusal(gone)
    away = Unreadable(Reason.VAULT_UNREACHABLE, "away", everywhere=True)
    assert not plan(made(), vault=away).chains
    verdict = Verdict(identity(3), JSON.shape, Reason.FORMAT_CANNOT_HOLD, "it has a nut in it")
    refused = plan(made(), verdicts={"db": verdict})
    assert "a nut" in refusal(refused)
    assert refused.conditions[0].versions == (3,)
    assert refused.conditions[0].state == State.SYNCED


def test_a_bridge_that_has_not_read_the_same_configuration_refuses() -> None:
    """It would see no difference, and take the wish for carried out."""
    assert "another configuration" in refusal(plan(made(), wished="json:of another"))


def test_the_value_of_a_version_made_anew_is_not_retired() -> None:
    """No task has the former Docker secret, and its value is in use all the same."""
    planned = plan(made(version=2), made(), made(JSON, 1), on=AGAIN, wished=False)
    names = {n.docker_name for n in actions_of(planned, Annotate) if n.put}
    assert names == {"db_v2"}


def test_a_version_made_anew_counts_once_for_retain() -> None:
    secrets = [made(version=1), made(version=2), made(), made(JSON, 1)]
    world = world_of(document(3), secrets, [service_of("api", references=(reference(AGAIN),))])
    planned = plan_of(desired(retain=Retain(2, 0.0)), world)
    assert [removal.docker_name for removal in actions_of(planned, RemoveSecret)] == ["db_v1"]
    assert planned.conditions[0].versions == (1, 2, 3)


def test_a_generation_is_rotated_instead() -> None:
    """Vault gives its credential out once; `plan` names the command."""
    secret = generation_secret(1, labels={SHAPE: RAW.shape})
    wishes = {"db": Wish(do=Do.RESYNC, at="t", shape=JSON.shape)}
    service = service_of("api", "db_v1")
    desired = desired_of(secrets=[leased("api")])
    planned = plan_of(desired, leased_world([secret], [service], wishes=wishes))
    assert "vault-bridge rotate db" in refusal(planned)
    (notice,) = planned.notices
    assert "vault-bridge rotate db" in notice.message
    (mint,) = actions_of(plan_of(desired, leased_world([])), MintGeneration)
    assert mint.labels[SHAPE] == JSON.shape


def test_a_lease_that_two_mirrors_of_one_version_rest_on_goes_on() -> None:
    """Of a KV version with a lease both name the same: the end of one is not that of the lease."""
    lease = lease_labels(f"{ROLE.lease_prefix}1", "accessor", "shop")
    held = KvLease("lease_id", "accessor", ROLE)
    before, now = (replace(content, lease=held) for content in (RAW, JSON))
    secrets = [made(before, 0, lease), made(now, 1, lease)]
    service = service_of("api", references=(reference(AGAIN),))
    world = leased_world(
        secrets,
        [service],
        {AGAIN: seen(), "db_v3": seen()},
        lives={PATH: document(3)},
        tasks=[task_of(service, AGAIN)],
    )
    planned = plan_of(desired(now), world)
    (note,) = actions_of(planned, Annotate)
    assert (note.docker_name, note.reason) == ("db_v3", Reason.CREDENTIAL_ENDED)
    assert "goes on" in note.why
