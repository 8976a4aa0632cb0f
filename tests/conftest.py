"""The real servers: one Vault and one swarm per run, and a corner of them for each test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from bridge.model.engine_rights import RIGHTS
from tests.support.database import Database
from tests.support.haproxy import FilteringProxy
from tests.support.lab import Lab
from tests.support.nodes import MultiNodeSwarm
from tests.support.postgres import Postgres
from tests.support.processes import RunDirectory
from tests.support.prometheus import Prometheus
from tests.support.requirements import missing
from tests.support.ssh import SshServer
from tests.support.swarm import Engine, PrivateSwarm
from tests.support.vault import VaultServer

_TESTS = Path(__file__).parent

settings.register_profile("noisy machines", deadline=None)
settings.load_profile("noisy machines")


_LONGEST_FIRST = ("docs", "model", "integration", "cli", "contract", "bench", "page", "unit")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the short tests last, so that no process is left alone with a long one at the end.

    Within a folder the order stays as it was shuffled.
    """

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(_TESTS).parts[0]
        return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else -1

    items.sort(key=place)


def _require(
    *,
    engine: bool = False,
    postgres: bool = False,
    ssh: bool = False,
    haproxy: bool = False,
    prometheus: bool = False,
) -> None:
    """Skip a test whose servers cannot run here; where CI says so, that is a failure."""
    problems = missing(
        engine=engine, postgres=postgres, ssh=ssh, haproxy=haproxy, prometheus=prometheus
    )
    if problems:
        reason = f"the servers cannot run here: {'; '.join(problems)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def run_directory() -> Iterator[Path]:
    """A directory that is gone after any exit."""
    directory = RunDirectory()
    yield directory.path
    directory.close()


@pytest.fixture(scope="session")
def swarm(run_directory: Path) -> Iterator[Engine]:
    """The engine that ``$DOCKER_HOST`` names, else a private one."""
    host = os.environ.get("DOCKER_HOST")
    _require(engine=not host)
    engine = Engine(host) if host else PrivateSwarm(run_directory / "swarm")
    if host:
        engine.import_busybox()
    yield engine
    engine.close()


@pytest.fixture
def nodes(run_directory: Path) -> Iterator[MultiNodeSwarm]:
    """A private swarm of three managers and two workers for one test, which may kill any."""
    _require(engine=True)
    made = MultiNodeSwarm(Path(tempfile.mkdtemp(dir=run_directory)) / "nodes")
    yield made
    made.close()


@pytest.fixture(scope="session")
def vault(run_directory: Path) -> Iterator[VaultServer]:
    """A private server with Vault's API."""
    _require()
    server = VaultServer(run_directory / "vault")
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres(run_directory: Path) -> Iterator[Postgres]:
    """A private PostgreSQL."""
    _require(postgres=True)
    server = Postgres(run_directory / "postgres")
    server.start()
    yield server
    server.close()


@pytest.fixture
def ssh_server(run_directory: Path) -> Iterator[SshServer]:
    """A private ssh server, with clients that know it and nothing of the user's own."""
    _require(ssh=True)
    made = SshServer(Path(tempfile.mkdtemp(dir=run_directory)) / "ssh")
    yield made
    made.close()


@pytest.fixture
def prometheus_of(run_directory: Path) -> Iterator[Callable[[int], Prometheus]]:
    """Start a private Prometheus that scrapes a port."""
    _require(prometheus=True)
    made: list[Prometheus] = []

    def new(target: int) -> Prometheus:
        folder = Path(tempfile.mkdtemp(dir=run_directory)) / "prometheus"
        made.append(Prometheus(folder, target))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def promtool_is_there() -> None:
    """Skip a test where Prometheus' own checks are not installed."""
    _require(prometheus=True)


@pytest.fixture(scope="session")
def filtered(run_directory: Path, swarm: Engine) -> Iterator[Callable[..., FilteringProxy]]:
    """Start a filtering proxy before the engine, as ``FilteringProxy`` is told to."""
    _require(haproxy=True)
    made: list[FilteringProxy] = []

    def new(**more: Any) -> FilteringProxy:
        folder = Path(tempfile.mkdtemp(dir=run_directory)) / "haproxy"
        made.append(FilteringProxy(folder, swarm.host, **more))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def engine_host(request: pytest.FixtureRequest, swarm: Engine) -> str:
    """Where bridges reach the engine: through a filtering proxy where ``$BRIDGE_TEST_FILTERED``."""
    if not os.environ.get("BRIDGE_TEST_FILTERED"):
        return swarm.host
    optional = [right for right in RIGHTS if right.optional]
    proxy: FilteringProxy = request.getfixturevalue("filtered")(more=optional)
    return proxy.address


@pytest.fixture
def lab(tmp_path: Path, swarm: Engine, vault: VaultServer, engine_host: str) -> Iterator[Lab]:
    """A corner of both servers for one test."""
    made = Lab(tmp_path, swarm, vault, engine_host)
    yield made
    made.close()


@pytest.fixture
def database(lab: Lab, postgres: Postgres) -> Iterator[Database]:
    """A corner of the database server for one test, with an engine of Vault for its users."""
    made = Database(lab.vault, postgres, lab.prefix)
    yield made
    made.close()
