"""Servers and directories that are gone after any exit of this process, ``kill -9`` included."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE = 300.0
"""Seconds after which a wait has failed: so many that only what hangs takes them, on any machine.

A test may take longer still, see the time-out of pytest.
"""

_LONGEST_PAUSE = 0.2


class RunDirectory:
    """A directory below ``/tmp`` that a small process removes when this one is gone.

    That process waits at a pipe which only we hold open.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="vault-bridge-"))
        # Servers that run as users of their own get through to their folders, and see no others.
        self.path.chmod(0o711)
        self._janitor = subprocess.Popen(
            ["sh", "-c", 'read -r _; rm -rf "$1"', "janitor", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Remove the directory now."""
        assert self._janitor.stdin
        self._janitor.stdin.close()
        self._janitor.wait(30)


class Server:
    """A child process that the kernel kills when we end, with its output in a file.

    Args:
        log: Where its output goes.
    """

    def __init__(self, command: Sequence[str], log: Path, environ: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environ),
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until it is ready; raises ``RuntimeError`` with its last words if it is not."""
        try:
            eventually(lambda: not self.runs or ready(), seconds)
        except TimeoutError:
            self.kill()
        if not self.runs:
            words = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.process.args!r} did not start:\n{words}")

    def kill(self) -> None:
        """Kill it and wait for its end."""
        self.process.kill()
        self.process.wait(30)


def eventually(check: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for something that tells nobody; raises ``TimeoutError``.

    It is looked at less often the longer it takes: looks cost the machine time, too.
    """
    end, pause = time.monotonic() + seconds, 0.01
    while not check():
        if time.monotonic() > end:
            raise TimeoutError(f"not so within {seconds} s: {check}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def free_port() -> int:
    """Return a TCP port of the loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
