"""Bridges as processes of their own that start at once: forks of one that has imported everything.

Half a second of processor time for each command goes into imports, and a run of the tests has
hundreds of commands. What a fork has besides the imports is its own: process id, signals, exit
code, environment, output. It ends as the interpreter ends by itself. The server forks and waits
with a single thread, and the kernel kills it and every bridge when the test process ends.
"""

from __future__ import annotations

import array
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import bridge

_LONGEST = 1 << 20


class ForkedProcess:
    """A bridge; the methods are those of ``subprocess.Popen``.

    Attributes:
        returncode: None while it runs; ``-N`` where signal N ended it.
    """

    def __init__(self, arguments: Sequence[str], answers: socket.socket) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        self._answers = answers.detach()
        self._lock = threading.Lock()  # a hook may kill it while the test waits
        weakref.finalize(self, os.close, self._answers)
        self.pid = int(self._answer())

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns the exit code, or raises ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self._lock:
                if self.returncode is None:
                    self.returncode = int(self._answer())
        return self.returncode

    def wait_beside(self, other: socket.socket) -> None:
        """Wait until it ends, or until something comes from a socket."""
        select.select([self._answers, other.fileno()], [], [])

    def send_signal(self, number: int) -> None:
        """Send a signal where it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _answer(self) -> bytes:
        answer = os.read(self._answers, 64)
        if not answer:
            raise RuntimeError("the server of the forks has ended")
        return answer


class ForkServer:
    """The process whose forks are bridges. It starts with the first of them."""

    def __init__(self) -> None:
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        out: IO[bytes] | int,
        err: IO[bytes] | int,
        *,
        folder: str = "",
    ) -> ForkedProcess:
        """Start ``python -m bridge`` with these arguments.

        Args:
            folder: Where it is started; the root of the repository where empty.
        """
        requests = self.start()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            request = json.dumps([list(arguments), dict(environ), folder]).encode()
            output = (file if isinstance(file, int) else file.fileno() for file in (out, err))
            files = array.array("i", [theirs.fileno(), *output])
            requests.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        return ForkedProcess(arguments, ours)

    def start(self) -> socket.socket:
        """Start it where it does not run; it ends with the thread that did; returns its socket."""
        if self._requests is None:
            self._requests = self._start()
        return self._requests

    def close(self) -> None:
        """End it, with every bridge that still runs."""
        if self._process and self._requests:
            self._requests.close()
            self._process.wait(30)

    def _start(self) -> socket.socket:
        root = str(Path(__file__).parents[2])
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=root,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": root},
                start_new_session=True,
            )
        return ours


_COMMAND = """\
#!{python} -IS
import json, os, socket, sys
asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
asked.connect({place!r})
request = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
socket.send_fds(asked, [request], [1, 2])
sys.exit(int(asked.recv(64) or 1))
"""


class ForkCommand:
    """The command ``vault-bridge`` for scripts: each call is a fork, with the script's output.

    It reads nothing from its input. A call that is killed kills its bridge.

    Args:
        file: Where the command is written.
    """

    def __init__(self, server: ForkServer, file: Path) -> None:
        self._server = server
        server.start()
        place = file.with_suffix(".socket")
        self._asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asked.bind(str(place))
        self._asked.listen()
        file.write_text(_COMMAND.format(python=sys.executable, place=str(place)))
        file.chmod(0o755)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more calls."""
        self._asked.shutdown(socket.SHUT_RDWR)
        self._asked.close()

    def _serve(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                call = self._asked.accept()[0]
                request, files, _, _ = socket.recv_fds(call, _LONGEST, 2)
                arguments, environ, folder = json.loads(request)
                bridge = self._server.fork(arguments, environ, *files, folder=folder)
                for file in files:
                    os.close(file)
                threading.Thread(target=self._follow, args=(call, bridge), daemon=True).start()

    @staticmethod
    def _follow(call: socket.socket, bridge: ForkedProcess) -> None:
        with call:
            bridge.wait_beside(call)
            code = bridge.poll()
            if code is None:
                bridge.kill()
            else:
                with suppress(OSError):
                    call.send(str(code).encode())


def serve(requests: socket.socket) -> list[str]:
    """Fork for each request; returns in each fork, with the arguments, and ends with the tests.

    The first packet on a fork's socket is its process id, the second one its exit code.
    """
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    server = os.getpid()
    while True:
        readable = select.select([requests.fileno(), awake], [], [])[0]
        if awake in readable:
            with suppress(BlockingIOError):
                os.read(awake, 4096)
            _reap(running)
        if requests.fileno() not in readable:
            continue
        request, files, _, _ = socket.recv_fds(requests, _LONGEST, 3)
        if not request:
            sys.exit()
        answers = socket.socket(fileno=files[0])
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # As at a terminal, also where a shell started the tests in the background.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for end in (awake, wake):
                os.close(end)
            for each in (requests, answers, *running.values()):
                each.close()
            return _become(request, files[1:], server)
        for file in files[1:]:
            os.close(file)
        running[pid] = answers
        with suppress(OSError):
            answers.send(str(pid).encode())


def _reap(running: dict[int, socket.socket]) -> None:
    """Tell the exit codes of the forks that have ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with running.pop(pid) as answers, suppress(OSError):  # nobody may wait for it any more
            answers.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: bytes, output: Sequence[int], parent: int) -> list[str]:
    """Take the environment and the files that a fork is to have; returns its arguments."""
    arguments, environ, folder = json.loads(request)
    die_with(parent)
    if folder:
        os.chdir(folder)
    for number, file in enumerate(output, 1):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    return list(arguments)


def die_with(parent: int) -> None:
    """Ask the kernel for what ``setpriv --pdeathsig KILL`` asks for.

    It kills nobody whose parent has ended before: then there is nothing left to wait for.
    """
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _main(requests: socket.socket) -> None:
    for module in pkgutil.walk_packages(bridge.__path__, "bridge."):
        if module.name != "bridge.__main__":
            importlib.import_module(module.name)
    for late in ("structlog", "rich.console"):  # which commands import when they need them
        importlib.import_module(late)
    gc.freeze()
    sys.argv[1:] = serve(requests)
    runpy.run_module("bridge", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[1])))
