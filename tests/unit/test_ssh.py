"""How the ssh client is called, and what its words mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.errors import SwarmUnreachable
from bridge.model.settings import DockerSettings, SshAddress
from bridge.servers.swarm import Swarm, connection
from bridge.servers.swarm.ssh import command, failure


def test_a_client_asks_nobody_and_reaches_the_socket() -> None:
    called = command(SshAddress("h", "ops", 2222, "/run/a b/docker.sock"))
    assert called[0] == "ssh"
    assert {"-oBatchMode=yes", "-oControlPath=none", "-oForwardAgent=no"} <= {*called}
    remote = "docker --host 'unix:///run/a b/docker.sock' system dial-stdio"
    assert called[-7:] == ["-l", "ops", "-p", "2222", "--", "h", remote]
    assert command(SshAddress("h"))[-3:] == ["--", "h", "docker system dial-stdio"]


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (1, "dial unix /x: connect: permission denied", "the user there may not use"),
        (1, "permission denied while trying to connect to the Docker daemon", "may not use"),
        (1, "Cannot connect to the Docker daemon at", "no engine answers at the socket there"),
        (255, "ssh: Could not resolve hostname h: Name or service not known", "is not known"),
        (255, "ssh: connect to host h port 22: Connection timed out", "no answer in time"),
        (127, "", "there is no `docker` command on the other side"),
        (255, "motd\r\nNo user exists for uid 7\r\n\r\n", "ssh: No user exists for uid 7"),
        (255, "\x1b[2Jx" * 100, "ssh: [2Jx"),
        (3, "", "ssh: exit code 3"),
    ],
)
def test_what_a_client_says_is_told(code: int, said: str, words: str) -> None:
    failed = failure(code, said)
    assert words in str(failed)
    assert failed.hint
    assert len(str(failed)) < 250
    assert str(failed).isprintable()


def test_a_client_that_hangs_ends_with_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ignores that its input has ended, and is killed."""
    client, note = tmp_path / "ssh", tmp_path / "pid"
    client.write_text(f"#!/bin/sh\necho $$ > {note}\nexec sleep 9999\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(connection, "TIMEOUT", 2.0)
    swarm = Swarm(DockerSettings("ssh://host"))
    with pytest.raises(SwarmUnreachable, match="no answer in time"):
        swarm.info()
    assert not Path(f"/proc/{note.read_text().strip()}").exists()
