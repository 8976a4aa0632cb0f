"""Where a running bridge is asked how it is, and what it knows of Vault: an abstract Unix socket.

Such a socket of Linux has no file, so that it works where nothing can be written, and it ends with
its process. It belongs to the network namespace: of a container that is the container, else the
machine. Whoever lives there may ask for the name, so both sides look at whom the kernel says they
speak with. Who asks sends one line, and gets one of JSON.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from bridge.logs import logger
from bridge.model.events import Event
from bridge.model.vitals import Health

PATIENCE = 5.0
"""Seconds in which a running bridge answers."""

VIEW_PATIENCE = 10.0
"""Seconds in which it tells what it knows of Vault. It may ask Vault itself before."""

_HEALTH, _VAULT = "health", "vault"
_LONGEST_QUESTION = 1 << 24
_LONGEST = 1 << 28
_CREDENTIALS = struct.Struct("3i")

Tell = Callable[[Sequence[str]], Mapping[str, Any] | None]
"""Returns as JSON values what is known of Vault, after asking anew for what the labels name."""


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
            answer = _answer_to(connection, _HEALTH)
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


def ask_view(instance: str, again: Sequence[str] = (), patience: float = VIEW_PATIENCE) -> Any:
    """Ask the bridge of an instance that runs here what it knows of Vault.

    Args:
        again: What it is to ask Vault for anew, see ``Tell``.

    Returns:
        What it tells, as JSON values; None where no bridge runs here, or it tells nothing.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        try:
            connection.connect(_address(instance))
            if not _is_ours(connection):
                return None
            return json.loads(_answer_to(connection, _VAULT, *again) or "null")
        except (OSError, ValueError):
            return None


@contextmanager
def answering(
    instance: str,
    look: Callable[[], Health],
    tell: Tell = lambda _: None,
) -> Generator[None]:
    """Answer those who ask how the bridge is, in threads of their own, until the block ends.

    Where that is not possible, it is logged, and nothing else is different.

    Args:
        look: Returns how the bridge is; called in any thread.
        tell: Returns what it knows of Vault, if it knows; called in any thread.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        try:
            listening.bind(_address(instance))
            listening.listen()
        except OSError as error:
            logger().warning(Event.HEALTH_NOT_SERVED, message=_words(error))
            yield
            return
        thread = threading.Thread(target=_accept, args=(listening, look, tell), daemon=True)
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


def _accept(
    listening: socket.socket,
    look: Callable[[], Health],
    tell: Tell,
) -> None:
    """Answer each one who may ask, each in a thread of its own, until nobody can any more."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, look, tell), daemon=True).start()


def _answer(
    connection: socket.socket,
    look: Callable[[], Health],
    tell: Tell,
) -> None:
    with connection, suppress(OSError, ValueError, TypeError, KeyError):
        if not _is_ours(connection):
            return
        connection.settimeout(PATIENCE)
        answer: Mapping[str, Any] | None
        with connection.makefile() as asked:
            question, *again = json.loads(asked.readline(_LONGEST_QUESTION))
        if question == _VAULT:
            answer = tell(again)
        else:
            found = look()
            answer = {"healthy": found.healthy, "message": found.message}
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _answer_to(connection: socket.socket, *question: str) -> str:
    """Ask, and return all that comes until the other side ends; empty where it ends at once.

    Raises:
        OSError: Nothing comes in time.
    """
    with suppress(ConnectionError):  # it does not read the question of one that may not ask
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile() as answer:
            return answer.read(_LONGEST)
    return ""


def _is_ours(connection: socket.socket) -> bool:
    """Return whether the other side runs as our user, or as root."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user = _CREDENTIALS.unpack(raw)[1]
    return user in (0, os.geteuid())


def _address(instance: str) -> str:
    return f"\0vault-bridge-{instance}"
