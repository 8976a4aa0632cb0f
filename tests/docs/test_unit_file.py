"""The systemd unit lets the bridge do what it needs, and little else."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess

import pytest

from tests.support.lab import ROOT

UNIT = ROOT / "config/vault-bridge.service"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd's own judge")
def test_it_is_as_hardened_as_it_says() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= 2.0


def test_it_sees_the_process_of_a_bridge_that_led() -> None:
    """Where those are hidden, a bridge that crashed goes on only after the lease's time."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["ProtectProc"] == "default"
    assert service["ProcSubset"] == "all"
    assert service["ExecStart"] == "/opt/vault-bridge/bin/vault-bridge run"
