"""A real Prometheus scrapes a real bridge: alerts fire and end, and every panel shows something."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

import pytest

from tests.integration.test_failure import POISON
from tests.support.lab import Lab
from tests.support.leases import LeasedDatabase
from tests.support.processes import eventually
from tests.support.prometheus import Prometheus, dashboard_queries, promtool
from tests.support.scrapes import Scrapes

Make = Callable[..., LeasedDatabase]

PATHS = ("/", "/livez", "/readyz", "/metrics", "/status.json")


@contextmanager
def _in_the_way(port: int, clients: int) -> Iterator[None]:
    """Hold connections that send nothing, and as many that ask for much and read nothing."""
    with ExitStack() as held:
        for words in (b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") * clients:
            client = held.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(words)
        yield


class _Scraping:
    """Asks for everything again and again in a thread, as fast as it is answered."""

    def __init__(self, scrapes: Scrapes) -> None:
        self._scrapes = scrapes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._scrape, daemon=True)
        self.count = 0
        self.unanswered = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _scrape(self) -> None:
        while not self._over.is_set():
            for path in PATHS:
                status, _ = self._scrapes.get(path)
                self.unanswered += not status
                self.count += 1


@pytest.mark.parametrize(
    "least", [400, pytest.param(10_000, marks=pytest.mark.acceptance)], ids=["few", "many"]
)
def test_what_happens_is_seen_while_many_look(
    lab: Lab, leased_database: Make, prometheus_of: Callable[[int], Prometheus], least: int
) -> None:
    """A version fails and another one takes its place, under scrapes and slow clients."""
    scrapes = Scrapes()
    lab.secret("pw", {"web": {"target": "pw"}}, max_age="90d")
    leased = leased_database(http={"listen": f":{scrapes.port}"}, rollout={"timeout": "15s"})
    lab.vault.put(f"auth/{leased.mount}/role/bridge", secret_id_ttl="720h")
    leased.renew_secret_id()
    lab.rotate("pw")
    leased.first()
    lab.service("web", command=POISON, secrets=[(lab.name("pw_v1"), "pw")])
    lab.service("api", secrets=[(lab.name("db_v1"), "db")])
    lab.start()
    scrapes.wait_for("/readyz", 200, '"role": "leads"')
    prometheus = prometheus_of(scrapes.port)
    lab.vault.write(lab.mount, "pw", password="poison")
    place = {"secret": lab.name("pw"), "service": lab.name("web")}
    prometheus.wait_until_firing("VaultBridgeRollFailed", **place)
    with _in_the_way(scrapes.port, 50), _Scraping(scrapes) as scraping:
        lab.rotate("pw")
        leased.ask()
        prometheus.wait_until_over("VaultBridgeRollFailed")
        running = f'vault_bridge_secret_running_version{{secret="{lab.name("pw")}"}} == 3'
        eventually(lambda: bool(prometheus.query(running)))
        eventually(lambda: scraping.count >= least)
    assert scraping.unanswered == 0
    leased.settle_on(2)
    assert "<title>both valid for " in scrapes.get("/")[1]
    empty = {expression: panel for panel, expression in dashboard_queries()}
    eventually(lambda: _drop_answered(prometheus, empty))
    promtool("check", "metrics", given=scrapes.get("/metrics")[1])
    leased.note_canaries()
    heard = "".join(scrapes.heard)
    assert not [canary for canary in lab.canaries if canary in heard]


def _drop_answered(prometheus: Prometheus, queries: dict[str, str]) -> bool:
    """Take away the queries that return something; returns whether none is left."""
    for expression in tuple(queries):
        if prometheus.query(expression):
            del queries[expression]
    return not queries
