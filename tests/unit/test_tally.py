"""Each request to a server is counted once, by how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bridge.errors import BridgeError
from bridge.model.settings import DockerSettings, TokenFile, VaultSettings
from bridge.servers.swarm import Swarm
from bridge.servers.vault.http import Answer, Http, RateLimit
from bridge.tally import ENGINE, VAULT, Ending, Tally
from tests.support.fakes import FakeEngine


def _new(tally: Tally[Ending], act: Callable[[], object]) -> Mapping[Ending, int]:
    """Return what was counted while something was done, without what was not."""
    before = tally.counts()
    with suppress(BridgeError, Answer):
        act()
    return {e: n - before[e] for e, n in tally.counts().items() if n != before[e]}


class _Vault(BaseHTTPRequestHandler):
    """Answers with the status that is in the path."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def vault() -> Iterator[Http]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Vault)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    settings = VaultSettings(address=address, auth=TokenFile("t"))
    made = Http(settings, RateLimit(1000.0, lambda: 0.0))
    yield made
    made.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        ("200", Ending.DONE),
        ("403", Ending.REFUSED),
        ("404", Ending.REFUSED),
        ("429", Ending.UNAVAILABLE),
        ("503", Ending.UNAVAILABLE),
    ],
)
def test_a_request_to_vault(vault: Http, status: str, ending: Ending) -> None:
    assert _new(VAULT, lambda: vault.get(status, "t")) == {ending: 1}


def test_a_vault_that_is_away() -> None:
    away = VaultSettings(address="http://127.0.0.1:1", auth=TokenFile("t"))
    gone = Http(away, RateLimit(1000.0, lambda: 0.0))
    assert _new(VAULT, lambda: gone.get("200", "t")) == {Ending.NO_ANSWER: 1}


def test_a_request_to_the_engine(tmp_path: Path) -> None:
    """The first one is for its API's version, and tells first that it is away."""
    engine = FakeEngine(tmp_path)
    with closing(Swarm(DockerSettings(engine.address))) as swarm:
        assert _new(ENGINE, swarm.info) == {Ending.DONE: 2}
        assert _new(ENGINE, swarm.info) == {Ending.DONE: 1}
    engine.close()
    with closing(Swarm(DockerSettings(engine.address))) as swarm:
        assert _new(ENGINE, swarm.info) == {Ending.NO_ANSWER: 1}
