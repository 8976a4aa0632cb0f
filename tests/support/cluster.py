"""Three nodes of Vault on raft storage behind one address, any of which may go away."""

from __future__ import annotations

import contextlib
import itertools
import socket
import socketserver
import threading
from pathlib import Path
from typing import Any, cast

import requests

from tests.support.processes import eventually
from tests.support.vault import Json, VaultApi, VaultServer


class VaultCluster(VaultApi):
    """The nodes, and the address that leads each new connection to one that serves.

    Args:
        folder: For their data; made here.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        first = VaultServer(folder / "one", alone=False)
        self.nodes = [first]
        self.nodes += [
            VaultServer(folder / name, alone=False, join=first) for name in ("two", "three")
        ]
        for node in self.nodes:
            node.start()
        eventually(lambda: len(self._peers()) == len(self.nodes))
        self._front = _Front(self.nodes)
        super().__init__(self._front.address)
        self.token = first.token

    def close(self) -> None:
        """Stop everything for good."""
        self._front.close()
        for node in self.nodes:
            node.close()

    def active(self) -> VaultServer:
        """Return the active node, once there is one."""
        found: list[VaultServer] = []

        def one() -> bool:
            found[:] = [node for node in self.nodes if _is_active(node)]
            return bool(found)

        eventually(one)
        return found[0]

    def step_down(self) -> None:
        """Let the active node hand over."""
        self.active().put("sys/step-down")

    def call(self, method: str, path: str, body: Json | None = None, token: str = "") -> Json:
        """Send one request, again and again while there is no leader."""
        answers: list[Json] = []

        def sent() -> bool:
            try:
                answers.append(super(VaultCluster, self).call(method, path, body, token))
            except requests.ConnectionError:
                return False
            except requests.HTTPError as error:
                # A node that has just become active gets its KV engines ready first.
                if error.response.status_code >= 500 or _BRIEFLY in error.response.text:
                    return False
                raise
            return True

        eventually(sent)
        return answers[0]

    def _peers(self) -> list[Json]:
        try:
            data = self.nodes[0].get("sys/storage/raft/configuration")
        except requests.RequestException:
            return []
        return [peer for peer in data["config"]["servers"] if peer["voter"]]


_BRIEFLY = "unavailable for a brief period"


def _is_active(node: VaultServer) -> bool:
    with contextlib.suppress(requests.RequestException):
        return node.is_active()
    return False


class _Front:
    """Leads each connection to a node that serves, in turn."""

    def __init__(self, nodes: list[VaultServer]) -> None:
        self._nodes = itertools.cycle(nodes)
        self._count = len(nodes)
        handler = cast("Any", type("Handler", (_Pump,), {"front": self}))
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next(self) -> VaultServer | None:
        """Return the next node that serves."""
        found = (next(self._nodes) for _ in range(self._count))
        return next((node for node in found if node.serves()), None)


class _Pump(socketserver.BaseRequestHandler):
    front: _Front

    def handle(self) -> None:
        """Carry bytes both ways until one side ends."""
        node = self.front.next()
        if node is None:
            return
        host, _, port = node.address.removeprefix("http://").partition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as other:
            back = threading.Thread(target=_carry, args=(other, self.request), daemon=True)
            back.start()
            _carry(self.request, other)
            back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
