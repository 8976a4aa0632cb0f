"""The demo's servers, for pages that are read from their first line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from demo.scene import Scene
from tests.docs.pages import instead
from tests.support.forks import ForkCommand
from tests.support.lab import FORKS, ROOT
from tests.support.requirements import missing
from tests.support.swarm import Engine, PrivateSwarm
from tests.support.vault import VaultServer

_CHECKS = {
    'test: [CMD, "true"]': 'test: [CMD, sh, -c, "[ ! -e /tmp/well ] || sleep 60; : >/tmp/well"]',
    "timeout: 5s": "timeout: 90s",
}
"""From the second one on a health check takes a minute, in which it does nothing.

The demo's services have one each second: those of a page would take most of its time.
"""


def _made(scene: Scene) -> Iterator[Scene]:
    try:
        scene.set_up()
        yield scene
    finally:
        scene.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Servers as the demo starts them."""
    if missing():
        reason = f"the servers cannot run here: {'; '.join(missing())}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    yield from _made(Scene(Console(quiet=True)))


@pytest.fixture
def quick(tmp_path: Path, swarm: Engine, vault: VaultServer) -> Iterator[Scene]:
    """The servers of this run, with the demo's stack, and a command that runs at once."""
    if not isinstance(swarm, PrivateSwarm):
        pytest.skip("a page's names are nobody else's only on a private engine")
    stack = tmp_path / "demo.yml"
    stack.write_text(instead((ROOT / "compose/demo.yml").read_text(), _CHECKS))
    made = Scene(Console(quiet=True), stack=stack, servers=(swarm, vault))
    command = ForkCommand(FORKS, made.tools / "vault-bridge")
    try:
        yield from _made(made)
    finally:
        command.close()
