"""What the engine makes of a service's references to secrets."""

from __future__ import annotations

import pytest

from bridge.errors import SwarmRefused
from tests.contract.sides import SwarmSide
from tests.support.fakes import Json


def reference(side: SwarmSide, secret: str, target: str, mode: int = 0o444) -> Json:
    """Return a reference under another target and with another mode."""
    made = side.reference(secret)
    return {**made, "File": {**made["File"], "Name": target, "Mode": mode}}


def give(side: SwarmSide, service: str, *references: Json) -> None:
    """Write the references of a service."""
    side.edit(
        service,
        lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Secrets=list(references)),
    )


@pytest.fixture
def service(side: SwarmSide) -> str:
    """Return a service without tasks, beside two secrets."""
    side.secret("one")
    side.secret("two")
    return side.deploy("api", "one", 0)


@pytest.mark.parametrize("second", ["one", "two"])
def test_a_target_may_be_spelled_in_one_way_once(
    side: SwarmSide, service: str, second: str
) -> None:
    """Also where both are one secret."""
    before = side.spec(service)
    with pytest.raises(SwarmRefused, match="conflicting target: 'x'"):
        give(side, service, reference(side, "one", "x"), reference(side, second, "x"))
    assert side.spec(service) == before


@pytest.mark.parametrize("second", ["/run/secrets/x", "./x", "x/y"])
def test_targets_that_only_meet_in_the_container_are_taken(
    side: SwarmSide, service: str, second: str
) -> None:
    """One file hides the other, or the tasks fail: whoever writes a spec has to see to it."""
    give(side, service, reference(side, "one", "x"), reference(side, "two", second))
    assert side.spec(service) == ("one", "two")


def test_one_secret_stands_under_several_targets_each_with_its_own_file(
    side: SwarmSide, service: str
) -> None:
    """The spec keeps them in their order and as they were written."""
    written = [
        reference(side, "two", "certs/tls.key", 0o400),
        reference(side, "one", "x"),
        reference(side, "two", "/etc/x", 0o440),
    ]
    give(side, service, *written)
    spec = side.client.service(service)["Spec"]
    assert spec["TaskTemplate"]["ContainerSpec"]["Secrets"] == written
