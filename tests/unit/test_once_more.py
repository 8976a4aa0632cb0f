"""What is made sure of again immediately before an action."""

from __future__ import annotations

from typing import cast

from bridge.apply import Applier
from bridge.model.actions import Action, Annotate, RemoveSecret
from bridge.model.content.payload import Concealed
from bridge.model.labels import labels_of
from bridge.model.memory import Result
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.set_aside import By, SetAside
from bridge.observe_swarm import look_at_swarm
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from tests.support.builders import PATH, identity
from tests.support.fakes import Clock, FakeSwarm, FakeVault

ASIDE = {"vault-bridge.aside": SetAside(By.OPERATOR, "t", "why").write()}


def applied(swarm: FakeSwarm, clock: Clock, action: Action) -> Result:
    """Carry one action out."""
    client = cast("Swarm", swarm)
    applier = Applier(
        cast("Vault", FakeVault(clock)),
        client,
        instance="default",
        look=lambda: look_at_swarm(client, "default", clock()),
        fence=lambda: True,
    )
    (outcome,) = applier.apply(Plan(chains=((action,),), holds=(), conditions=()), lambda: False)
    return outcome.result


def mirrored(swarm: FakeSwarm, version: int, labels: dict[str, str]) -> str:
    """Make the Docker secret of a version; returns its id."""
    made = labels_of("default", "db", identity(version))
    return swarm.create_secret(f"db_v{version}", Concealed(b"x"), {**made, **labels})


def test_what_all_services_come_back_to_now_is_not_removed() -> None:
    """All that is newer was set aside after the decision was made."""
    clock = Clock()
    swarm = FakeSwarm(clock)
    first = mirrored(swarm, 1, {})
    mirrored(swarm, 2, ASIDE)
    prune = RemoveSecret(
        secret="db",
        secret_id=first,
        docker_name="db_v1",
        reason=Reason.OUTDATED,
        why="old",
        prunes=PATH,
    )
    assert applied(swarm, clock, prune) == Result.MOVED
    forget = RemoveSecret(
        secret="db", secret_id=first, docker_name="db_v1", reason=Reason.FORGOTTEN, why="let go"
    )
    assert applied(swarm, clock, forget) == Result.DONE


def test_what_is_kept_of_a_service_that_is_there_after_all_is_not_dropped() -> None:
    """Another look did not have it: it was torn, or that of a manager that had been cut off."""
    clock = Clock()
    swarm = FakeSwarm(clock)
    api = swarm.deploy("api", 1, "pause")
    label = f"vault-bridge.aside.{api}"
    made = mirrored(swarm, 1, {label: "{}"})
    why = "gone"
    forget = Annotate(
        secret="db",
        secret_id=made,
        docker_name="db_v1",
        reason=Reason.SERVICE_GONE,
        why=why,
        put={},
        drop=frozenset({label}),
        gone=frozenset({api}),
    )
    assert applied(swarm, clock, forget) == Result.MOVED
    assert label in swarm.secret(made)["Spec"]["Labels"]
    swarm.remove_service(api)
    assert applied(swarm, clock, forget) == Result.DONE
    assert label not in swarm.secret(made)["Spec"]["Labels"]
