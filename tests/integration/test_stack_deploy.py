"""Peace with ``docker stack deploy``: it ends on the newest version, and rolls nothing twice."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.lab import ROOT, Lab
from tests.support.processes import eventually

EXAMPLE = (ROOT / "compose/shop.yml").read_text()


class Stack:
    """The example's stack under a test's own names."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.secret = lab.name("db")
        self.service = "shop_api"
        self.file = lab.folder / "stack.yml"
        self.write(EXAMPLE)
        fields = {"target": "db_password", "uid": "1000", "gid": "1000", "mode": "0400"}
        lab.secret("db", {self.service: fields})

    def write(self, text: str) -> None:
        """Write the stack's file, for this test's secret."""
        text = text.replace("source: db_password", f"source: {self.secret}")
        self.file.write_text(text.replace("  db_password:\n", f"  {self.secret}:\n"))

    def deploy(self, *files: Path, code: int = 0, environ: Mapping[str, str] | None = None) -> str:
        """Deploy the stack; returns what was said."""
        command = ["docker", "stack", "deploy", "--resolve-image", "never"]
        for file in (self.file, *files):
            command += ["-c", str(file)]
        done = subprocess.run(
            [*command, self.lab.name("shop")],
            env={**self.lab.environ(), "DOCKER_HOST": self.lab.swarm.host, **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def render(self, name: str) -> Path:
        """Save what `vault-bridge render` prints."""
        file = self.lab.folder / name
        file.write_text(self.lab.cli("render", "--compose-version", "3.8"))
        return file


@pytest.fixture
def stack(lab: Lab) -> Stack:
    return Stack(lab)


def test_a_deploy_in_the_middle_of_a_rotation(lab: Lab, stack: Stack) -> None:
    """Named by `render`: first deploy, deploy while it rolls, a stale file, an old file's help."""
    lab.rotate("db")
    lab.cli("sync", code=3)  # the service is not there yet: its secret is made all the same
    first = stack.render("first.yml")
    stack.deploy(first)
    lab.swarm.wait_running(lab.name(stack.service), 2)
    process = lab.start()
    process.wait_for("state", state="Synced")

    value = lab.rotate("db")
    process.wait_for("rolling", version=2)
    stack.deploy(stack.render("second.yml"))
    process.wait_for("good", docker_secret=f"{stack.secret}_v2")
    assert lab.swarm.read(lab.name(stack.service), "db_password") == [value, value]
    assert len(process.lines("rolling")) == 1

    stack.deploy(first)  # somebody's stale file
    process.wait_for("rolling", reason="Drifted")
    eventually(lambda: lab.swarm.read(lab.name(stack.service), "db_password") == [value, value])
    references = lab.swarm.references(lab.name(stack.service))
    assert references == {"db_password": f"{stack.secret}_v2"}
    assert process.stop() == 0


def test_a_deploy_of_what_is_there_restarts_nothing(lab: Lab, stack: Stack) -> None:
    """The raw roll left the spec as the deploy would write it."""
    lab.rotate("db")
    lab.cli("sync", code=3)
    stack.deploy(stack.render("first.yml"))
    lab.swarm.wait_running(lab.name(stack.service), 2)
    lab.sync()
    lab.rotate("db")
    lab.sync()
    before = {task["ID"] for task in lab.swarm.tasks(lab.name(stack.service))}
    _, engine = lab.through_proxies()
    stack.deploy(stack.render("second.yml"))
    lab.cli("sync")
    assert {task["ID"] for task in lab.swarm.tasks(lab.name(stack.service))} == before
    assert lab.updates(engine, stack.service) == 0


def test_the_version_as_a_variable(lab: Lab, stack: Stack) -> None:
    """``name: db_v${DB_VERSION:?}``: without the variable nothing is deployed."""
    variable = f"{stack.secret}_VERSION".upper().replace("-", "_")
    name = f"    name: {stack.secret}_v${{{variable}:?run the bridge first}}\n"
    stack.write(EXAMPLE.replace("    external: true", f"{name}    external: true"))
    assert "run the bridge first" in stack.deploy(code=1)

    lab.rotate("db")
    lab.rotate("db")
    lab.cli("sync", code=3)
    said = lab.cli("render", "--env")
    assert said == f"{variable}=2\n"
    stack.deploy(environ={variable: "2"})
    lab.swarm.wait_running(lab.name(stack.service), 2)
    references = lab.swarm.references(lab.name(stack.service))
    assert references == {"db_password": f"{stack.secret}_v2"}


def test_render_needs_no_vault_and_says_what_is_absent(lab: Lab) -> None:
    """A secret without a version is left out and named; the others are rendered."""
    lab.secret("db", {})
    lab.secret("other", {})
    lab.rotate("db")
    lab.cli("sync", code=3)
    lab.vault_address = "http://127.0.0.1:9"
    name = lab.name("db")
    said = lab.cli("render", code=3)
    assert said == f"secrets:\n  {name}:\n    external: true\n    name: {name}_v1\n"
    assert lab.json("render", code=3) == {
        "secrets": {name: f"{name}_v1"},
        "absent": [lab.name("other")],
    }
