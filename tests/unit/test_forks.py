"""A forked bridge is told from one that was started only by how soon it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.forks import ForkCommand, ForkServer
from tests.support.processes import eventually


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    made = ForkServer()
    yield made
    made.close()


def _output(server: ForkServer, *arguments: str, **environ: str) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = server.fork(arguments, environ, out, err).wait(60)
        for file in (out, err):
            file.seek(0)
        return code, out.read().decode(), err.read().decode()


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--nothing"], ["plan"]])
def test_it_prints_and_ends_as_one_that_was_started(
    server: ForkServer, tmp_path: Path, arguments: list[str]
) -> None:
    config = tmp_path / "bridge.yaml"
    config.write_text("secrets: 1\nümlaut: 2\n")
    environ = {"BRIDGE_CONFIG": str(config), "COLUMNS": "50"}
    program = [sys.executable, "-m", "bridge", *arguments]
    done = subprocess.run(program, env=environ, capture_output=True, text=True, check=False)
    forked = _output(server, *arguments, **environ)
    assert forked == (done.returncode, done.stdout, done.stderr)
    assert done.stdout + done.stderr


def test_it_has_a_process_and_signals_of_its_own(server: ForkServer, tmp_path: Path) -> None:
    """Two that read a pipe to which nobody writes."""
    pipe = tmp_path / "bridge.yaml"
    os.mkfifo(pipe)
    with tempfile.TemporaryFile() as output:
        killed, ended = (
            server.fork(["-c", str(pipe), "plan"], {}, output, output) for _ in range(2)
        )
        assert len({killed.pid, ended.pid, os.getpid()}) == 3
        for each in (killed, ended):
            eventually(lambda each=each: _handles_sigterm(each.pid))  # type: ignore[misc]
            assert each.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                each.wait(0.01)
        killed.kill()
        assert killed.wait(60) == -signal.SIGKILL
        assert killed.poll() == -signal.SIGKILL
        assert not Path(f"/proc/{killed.pid}").exists()
        assert ended.poll() is None
        ended.send_signal(signal.SIGTERM)
        assert ended.wait(60) == 1


def _handles_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


def test_all_end_with_the_server(tmp_path: Path) -> None:
    server = ForkServer()
    pipe = tmp_path / "bridge.yaml"
    os.mkfifo(pipe)
    with tempfile.TemporaryFile() as output:
        left = server.fork(["-c", str(pipe), "plan"], {}, output, output)
    server.close()
    eventually(lambda: not Path(f"/proc/{left.pid}").exists())
    with pytest.raises(RuntimeError, match="the server of the forks has ended"):
        left.wait(60)


_ORPHAN = """
import os, time
from tests.support.forks import die_with
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.001)
die_with(parent)
print("it lives on")
"""


def test_a_fork_ends_whose_server_has_ended_before_it_could_ask_for_that() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _ORPHAN], capture_output=True, text=True, cwd=root, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_script_calls_it_as_a_command(server: ForkServer, tmp_path: Path) -> None:
    """With its folder, its environment and its output; a call that is killed kills the bridge."""
    command = ForkCommand(server, tmp_path / "vault-bridge")
    (tmp_path / "bridge.yaml").write_text("secrets: 1\n")
    script = "./vault-bridge -c bridge.yaml plan | cat; ./vault-bridge -c bridge.yaml plan"
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    first, second = done.stderr[: len(done.stderr) // 2], done.stderr[len(done.stderr) // 2 :]
    assert first == second
    assert "bridge.yaml:1: secrets: " in first
    os.mkfifo(tmp_path / "pipe")
    hangs = subprocess.Popen([tmp_path / "vault-bridge", "-c", "pipe", "plan"], cwd=tmp_path)
    eventually(lambda: bool(_beside(hangs, tmp_path)))
    hangs.kill()
    hangs.wait(60)
    eventually(lambda: not _beside(hangs, tmp_path))
    command.close()


def _beside(process: subprocess.Popen[bytes], folder: Path) -> list[str]:
    """Return the other processes that work in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if place.readlink() == folder and place.parent.name != str(process.pid):
                found.append(place.parent.name)
    return found
