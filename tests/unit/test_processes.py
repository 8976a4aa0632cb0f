"""What a bridge is called, and that it gains no rights."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from bridge.processes import this_host


def test_the_name_that_a_service_is_given_is_taken_for_the_machine_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BRIDGE_HOST", " manager-1/bridge_bridge.2.x \n")
    assert this_host() == "manager-1/bridge_bridge.2.x"
    for nothing in ("", " "):
        monkeypatch.setenv("BRIDGE_HOST", nothing)
        assert this_host() == socket.gethostname()


def test_neither_it_nor_its_children_gain_rights() -> None:
    program = (
        "import subprocess, bridge.processes as p; p.refuse_new_privileges();"
        "subprocess.run(['grep', 'NoNewPrivs', '/proc/self/status'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["NoNewPrivs:", "1"]
