"""HAProxy before an engine, with the rules that the bridge prints for it."""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path

from bridge.model.engine_rights import RIGHTS, Right
from bridge.report.engine_policy import QUIET, haproxy
from tests.support.processes import Server
from tests.support.requirements import HAPROXY


class FilteringProxy:
    """A running proxy.

    Args:
        folder: For its configuration, its socket and its log; made here.
        engine: ``unix://`` address of the engine.
        without: Rights whose rules are taken out.
        more: Optional rights whose rules are put in.
    """

    def __init__(
        self,
        folder: Path,
        engine: str,
        without: Collection[Right] = (),
        more: Collection[Right] = (),
    ) -> None:
        folder.mkdir()
        listen = folder / "engine.sock"
        self.address = f"unix://{listen}"
        rules = haproxy(str(listen), engine.removeprefix("unix://")).replace(QUIET, "")
        for right in RIGHTS:
            rule = f"http-request allow if {{ method {right.method} }}"
            rule += f" {{ pathq -m reg '{right.pattern}' }}"
            assert rules.count(rule) == 1
            if right in without:
                rules = rules.replace(rule, "")
            elif right in more:
                rules = rules.replace(f"# {rule}", rule)
        config = folder / "haproxy.cfg"
        config.write_text(rules)
        self._log = folder / "log"
        self._server = Server([HAPROXY, "-db", "-f", str(config)], self._log, {})
        self._server.wait_until(self._listens)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(self.address.removeprefix("unix://")) == 0

    def requests(self) -> list[tuple[int, str, str]]:
        """Return status, method and target of each request that has ended."""
        found = []
        for line in self._log.read_text().splitlines():
            status, _, request = line.partition(" ")
            method, _, target = request.partition(" ")
            if status.isdigit():
                found.append((int(status), method, target))
        return found

    def close(self) -> None:
        """Stop it."""
        self._server.kill()
