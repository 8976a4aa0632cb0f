"""What a command imports is most of what a short one costs, so each imports only what it needs.

Modules are counted, and not seconds: each of those named here takes longer than click itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lab import ROOT

_SDKS = {"docker", "hvac", "requests", "urllib3"}
_READING = {"pydantic", "yaml", "jinja2"}
_WRITING = {"rich", "structlog", "asyncio"}
_FILE = """\
vault: {address: "https://vault.example.net:8200", auth: {method: token, token_file: token}}
secrets:
  db: {kv: {mount: secret, path: db, field: password}, services: {api: {mode: "0400"}}}
"""


def imported_by(*arguments: str) -> set[str]:
    """Return the packages that a command imports in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bridge", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    found = {line.rsplit("|", 1)[1].strip() for line in lines}
    assert "click" in found, done.stderr[-2000:]
    return {name.split(".", 1)[0] for name in found}


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "bridge.yaml"
    file.write_text(f"docker: {{host: unix://{tmp_path}/none.sock}}\n{_FILE}")
    return str(file)


@pytest.mark.parametrize("arguments", [["--help"], ["status", "-h"], ["rollback"], ["--version"]])
def test_help_and_wrong_usage_import_nothing_but_the_command_line(arguments: list[str]) -> None:
    assert imported_by(*arguments) & (_SDKS | _READING | _WRITING) == set()


def test_status_imports_no_sdk_of_vault_and_no_log(config: str) -> None:
    seen = imported_by("-c", config, "status", "--json")
    assert {"docker", "pydantic"} <= seen
    assert seen & {"hvac", "jinja2", "structlog", "asyncio"} == set()


def test_a_health_check_imports_no_server_and_nothing_that_decides(config: str) -> None:
    """It runs each few seconds in each container."""
    seen = imported_by("-c", config, "health")
    assert seen & (_SDKS | _WRITING | {"jinja2"}) == set()


def test_policy_needs_no_server_and_imports_none(config: str) -> None:
    seen = imported_by("-c", config, "policy")
    assert "pydantic" in seen
    assert seen & (_SDKS | _WRITING) == set()


def test_init_imports_no_server_where_it_writes_a_file_only(tmp_path: Path) -> None:
    seen = imported_by("-c", str(tmp_path / "new.yaml"), "init", "--address=https://vault:8200")
    assert "pydantic" in seen
    assert seen & (_SDKS | _WRITING) == set()


def test_what_is_needed_is_seen(config: str) -> None:
    assert imported_by("-c", config, "plan") >= _SDKS


_OUTLETS = """\
import sys
from bridge.config import load
from bridge.publish.outlets import outlets
from bridge.pulse import Pulse
for outlet in outlets(Pulse(), None):
    outlet.configure(load(sys.argv[1], {}))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_what_nobody_asks_to_be_published_by_is_not_imported(config: str) -> None:
    """A bridge without `http` is to be as small as it was."""
    done = subprocess.run(
        [sys.executable, "-c", _OUTLETS, config],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    imported = set(done.stdout.split())
    assert "bridge" in imported
    assert imported & {"uvicorn", "h11", "asyncio", "ssl", "prometheus_client"} == set()
