"""Where a running bridge is asked how it is: an abstract Unix socket of Linux.

It has no file, so that it works where nothing can be written, and it ends with its process. It
belongs to the network namespace: of a container that is the container, else the machine. Whoever
lives there may ask for the name, so both sides look at whom the kernel says they speak with.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from bridge.logs import logger
from bridge.model.vitals import Health

PATIENCE = 5.0
"""Seconds in which a running bridge answers."""

_LONGEST = 1 << 16
_CREDENTIALS = struct.Struct("3i")


def ask(instance: str, patience: float = PATIENCE) -> Health:
    """Ask the bridge of an instance that runs here how it is; no answer is none of a healthy one.

    Args:
        patience: Seconds that it has for the answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        try:
            connection.connect(_address(instance))
        except OSError:
            return Health(healthy=False, message=f"no bridge of the instance {instance} runs here")
        if not _is_ours(connection):
            return Health(
                healthy=False,
                message=f"another user answers for the instance {instance}: ask as the user that"
                " runs the bridge",
            )
        try:
            answer = _received(connection)
            if not answer:
                return Health(
                    healthy=False,
                    message=f"the bridge of the instance {instance} tells only its own user and"
                    " root",
                )
            raw = json.loads(answer)
            return Health(healthy=raw["healthy"] is True, message=str(raw["message"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Health(
                healthy=False,
                message=f"the bridge of the instance {instance} gives no answer within"
                f" {patience:g} s",
            )


@contextmanager
def answering(instance: str, look: Callable[[], Health]) -> Generator[None]:
    """Answer those who ask how the bridge is, in a thread of its own, until the block ends.

    Where that is not possible, it is logged, and nothing else is different.

    Args:
        look: Returns how the bridge is; called in that thread.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        try:
            listening.bind(_address(instance))
            listening.listen()
        except OSError as error:
            logger().warning(
                "`vault-bridge health` does not ask this bridge", because=_words(error)
            )
            yield
            return
        thread = threading.Thread(target=_answer, args=(listening, look), daemon=True)
        thread.start()
        try:
            yield
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes the thread
            thread.join(PATIENCE)


def _words(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another one of the same instance runs here"
    return str(error)


def _answer(listening: socket.socket, look: Callable[[], Health]) -> None:
    """Answer each one who may ask, until nobody can any more."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            if _is_ours(connection):
                connection.settimeout(PATIENCE)
                found = look()
                answer: dict[str, Any] = {"healthy": found.healthy, "message": found.message}
                connection.sendall(json.dumps(answer).encode() + b"\n")


def _received(connection: socket.socket) -> bytes:
    """Return all that comes until the other side ends. Raises ``OSError``."""
    parts: list[bytes] = []
    while (part := connection.recv(_LONGEST)) and sum(map(len, parts)) < _LONGEST:
        parts.append(part)
    return b"".join(parts)


def _is_ours(connection: socket.socket) -> bool:
    """Return whether the other side runs as our user, or as root."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user = _CREDENTIALS.unpack(raw)[1]
    return user in (0, os.geteuid())


def _address(instance: str) -> str:
    return f"\0vault-bridge-{instance}"
