"""Vault as the swarm alone tells of it, for commands that do not ask Vault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.decide.cycle import decide
from bridge.decide.inferred import infer_vault
from bridge.model.actions import MintGeneration
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import ROLE as ROLE_LABEL
from bridge.model.labels import labels_of
from bridge.model.leased import Life, StaticDocument
from bridge.model.memory import Memory
from bridge.model.reasons import Reason
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import KvDocument, Unreadable
from bridge.model.world import World
from bridge.sources.static.source import StaticRoles
from tests.support.builders import (
    NOW,
    PATH,
    ROLE,
    actions_of,
    desired_of,
    generation_secret,
    leased,
    leased_world,
    secret_of,
    service_of,
    wanted,
    world_of,
)

PAIR = StaticRoles("", "database", ("a", "b"))


def password(number: int, role: str, age: float) -> DockerSecret:
    """Return the Docker secret of a password that was made some seconds ago."""
    made = labels_of("default", "db", Identity(PAIR, ONE_LIFE, number, timestamp(NOW - age)))
    return DockerSecret(f"id-db_v{number}", f"db_v{number}", NOW - age, {**made, ROLE_LABEL: role})


def test_static_roles_were_last_rotated_when_their_newest_password_was_made() -> None:
    desired = desired_of(secrets=[replace(wanted("db", "api"), source=PAIR)])
    kept = [
        password(1, "a", 300),
        password(2, "b", 200),
        password(3, "a", 100),
        secret_of(4, labels={ROLE_LABEL: "a"}),  # of the path that it was taken from before
    ]
    document = infer_vault(desired, world_of({}, kept).swarm, NOW).paths[PAIR]
    assert isinstance(document, StaticDocument)
    rotated = {name: role.rotated for name, role in document.roles.items()}
    assert rotated == {"a": timestamp(NOW - 100), "b": timestamp(NOW - 200)}


def test_a_lease_is_taken_for_alive_and_no_other_is_made() -> None:
    desired = desired_of(secrets=[leased("api")])
    swarm = leased_world([generation_secret(1)], [service_of("api", "db_v1")]).swarm
    vault = infer_vault(desired, swarm, NOW)
    role = vault.paths[ROLE]
    assert isinstance(role, Unreadable)
    assert role.reason == Reason.VAULT_UNREACHABLE
    view = vault.generations["id-db_v1"]
    assert isinstance(view.lease, Life)
    assert view.lease.ends > NOW
    plan = decide(desired, World(vault, swarm), Memory(), NOW)
    assert actions_of(plan, MintGeneration) == []


@pytest.mark.parametrize("names", [("db", "other"), ("other", "db")])
def test_of_two_secrets_of_one_path_the_one_that_knows_more_tells_of_it(
    names: tuple[str, ...],
) -> None:
    """One that was not mirrored yet, or failed for one of them only, is there all the same."""
    desired = desired_of(secrets=[wanted(name, "api") for name in names])
    mirrored = [secret_of(1), secret_of(2), secret_of(1, name="other")]
    for kept, current in ((mirrored, 2), (mirrored[:1], 1)):
        document = infer_vault(desired, world_of({}, kept).swarm, NOW).paths[PATH]
        assert isinstance(document, KvDocument)
        assert document.current == current
