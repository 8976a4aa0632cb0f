"""An engine behind ``ssh://``, reached as Docker's own command line does.

The ssh client runs ``docker system dial-stdio`` on the other side, and what that prints and reads
is the connection. It is a socket, so that the deadlines of every request hold for it as for any
other. The client obeys ``~/.ssh/config`` and ``known_hosts``; it never asks anybody anything.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from bridge.model.settings import SshAddress

CONNECT = 10
"""Seconds in which the other side must be connected to, and have answered as an ssh server."""

ALIVE = 10
"""Seconds without a sign of life after which the other side is asked for one, twice."""

_END = 2.0
"""Seconds for which the client's own end is awaited when its output has ended."""

_MOST = 65536
_COMMAND_NOT_FOUND = 127


class SshFailed(OSError):
    """The connection could not be made, or was lost, for what the ssh client says.

    Args:
        words: What is wrong, without the place.
        hint: What to do about it.
    """

    def __init__(self, words: str, hint: str) -> None:
        super().__init__(words)
        self.hint = hint


class SshAdapter(HTTPAdapter):
    """Sends the requests of a session through the ssh client.

    Args:
        address: Where the engine is.
    """

    def __init__(self, address: SshAddress) -> None:
        super().__init__()
        self._pool = _Pool("localhost", address=address)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """Return the one pool: there is no other address, no proxy and no TLS."""
        return self._pool

    def request_url(self, request: PreparedRequest, _proxies: Any) -> str:
        """Return what the request's first line names."""
        return str(request.path_url)

    def close(self) -> None:
        """Close the connections, which ends their clients."""
        super().close()
        self._pool.close()


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, address: SshAddress, **more: Any) -> None:
        super().__init__(*args, **more)
        self._address = address

    def connect(self) -> None:
        self.sock = _Stream.to(self._address)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _Stream(socket.socket):
    """Our end of the socket that a client has as its input and output."""

    _client: subprocess.Popen[bytes]

    @classmethod
    def to(cls, address: SshAddress) -> _Stream:
        """Start a client; whether it gets there is found when its output is read."""
        ours, theirs = socket.socketpair()
        with theirs:
            stream = cls(fileno=ours.detach())
            try:
                stream._client = subprocess.Popen(  # noqa: S603 - the address was checked
                    command(address),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # no terminal to ask at, and no Ctrl-C
                )
            except OSError as error:
                socket.socket.close(stream)
                words = "there is no `ssh` command here"
                raise SshFailed(
                    words, "install the OpenSSH client, or use a local socket"
                ) from error
        assert stream._client.stderr  # noqa: S101
        os.set_blocking(stream._client.stderr.fileno(), False)
        return stream

    def recv_into(self, *args: Any) -> int:
        """Receive; where the client has failed, raise ``SshFailed``."""
        try:
            received = super().recv_into(*args)
        except ConnectionError:
            received = 0
        if not received:
            self._raise_failure()
        return received

    def sendall(self, *args: Any) -> None:
        """Send; where the client has failed, raise ``SshFailed``."""
        try:
            super().sendall(*args)
        except ConnectionError:
            self._raise_failure()
            raise

    def close(self) -> None:
        """Close it as soon as nobody reads from it, which ends the client."""
        super().close()
        if self.fileno() >= 0:
            return  # an answer is still being read, and its end closes it
        if self._client.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._client.pid, signal.SIGKILL)  # with what it jumps through
            self._client.wait()
        if self._client.stderr:
            self._client.stderr.close()

    def _raise_failure(self) -> None:
        """Raise for what the client says, if it has failed."""
        try:
            code = self._client.wait(_END)
        except subprocess.TimeoutExpired:
            return
        assert self._client.stderr  # noqa: S101
        text = (self._client.stderr.read(_MOST) or b"").decode(errors="replace")
        if code:
            raise failure(code, text)


def command(address: SshAddress) -> list[str]:
    """Return the command line of a client.

    Nothing of the user's configuration may make it ask, share its connection with others or do
    anything besides; everything else there holds.
    """
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT,
        "ServerAliveInterval": ALIVE,
        "ServerAliveCountMax": 2,
        "ControlMaster": "no",
        "ControlPath": "none",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "RemoteCommand": "none",
        "RequestTTY": "no",
    }
    docker = ["docker", *(("--host", f"unix://{address.socket}") if address.socket else ())]
    return [
        "ssh",
        *(f"-o{key}={value}" for key, value in options.items()),
        *(("-l", address.user) if address.user else ()),
        *(("-p", str(address.port)) if address.port else ()),
        "--",
        address.host,
        shlex.join([*docker, "system", "dial-stdio"]),
    ]


_TROUBLES = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its ssh host key is not the one in known_hosts",
        "find out why before you trust it; where the host was made anew, `ssh-keygen -R`",
    ),
    (
        "Host key verification failed",
        "its ssh host key is not known",
        "compare its fingerprint and put the key into known_hosts, by `ssh` to it once by hand",
    ),
    (
        "Permission denied (",
        "ssh: permission denied",
        "see `ssh -o BatchMode=yes`: a key without passphrase, or one in the agent, is needed",
    ),
    *(
        (
            sign,
            "the user there may not use the engine's socket",
            "name a user that may, as in ssh://user@host",
        )
        for sign in ("connect: permission denied", "trying to connect to the Docker daemon")
    ),
    *(
        (
            sign,
            "no engine answers at the socket there",
            "see whether it runs; another socket is named as in ssh://host/path/to/docker.sock",
        )
        for sign in ("the raw stream connection", "Cannot connect to the Docker daemon")
    ),
    ("Connection refused", "connection refused", "see whether an ssh server listens there"),
    ("timed out", "no answer in time", "see whether the host is up and lets ssh through"),
    ("not responding", "no answer in time", "see whether the host is up"),
    ("Could not resolve hostname", "its name is not known", "see `docker.host`"),
)


def failure(code: int, text: str) -> SshFailed:
    """Return what a client's exit code and error output mean."""
    for sign, words, hint in _TROUBLES:
        if sign in text:
            return SshFailed(words, hint)
    if code == _COMMAND_NOT_FOUND:
        return SshFailed(
            "there is no `docker` command on the other side",
            "install Docker's command line there, in the PATH of commands that ssh runs",
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = "".join(c for c in (lines[-1] if lines else "") if c.isprintable())[:200]
    return SshFailed(f"ssh: {last or f'exit code {code}'}", "try `ssh` to it by hand")
