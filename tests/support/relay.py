"""Lets what runs in another network namespace reach a server of this machine's loopback."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

_CLONE_NEWNET = 0x40000000


class Relay:
    """Listens in the network namespace of a process, and hands each connection on.

    Args:
        process: A process in that namespace.
        address: Where to listen there, at the port of the server.
        port: Of the server on this machine's loopback.
    """

    def __init__(self, process: int, address: str, port: int) -> None:
        self._port = port
        made: list[socket.socket] = []
        # A namespace belongs to a thread, and a socket to where it was made.
        thread = threading.Thread(target=_listen, args=(process, address, port, made))
        thread.start()
        thread.join()
        (self._listening,) = made
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._hand_on, args=(connection,), daemon=True).start()

    def _hand_on(self, connection: socket.socket) -> None:
        with (
            connection,
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port)) as s,
        ):
            other = {connection: s, s: connection}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    piece = ready.recv(65536)
                    if not piece:
                        return
                    other[ready].sendall(piece)


def _listen(process: int, address: str, port: int, made: list[socket.socket]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{process}/ns/net").open() as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address, port))
    listening.listen()
    made.append(listening)
