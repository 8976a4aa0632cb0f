"""Each test runs twice: over the servers in memory, and over the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.sides import InMemory, RealSwarm, RealVault, SwarmSide, VaultInMemory, VaultSide


@pytest.fixture(params=["fake", "real"])
def side(request: pytest.FixtureRequest) -> Iterator[SwarmSide]:
    """A swarm; the real engine is started only where it is asked for."""
    real = request.param == "real"
    made = RealSwarm(request.getfixturevalue("swarm")) if real else InMemory()
    yield made
    made.close()


@pytest.fixture(params=["fake", "real"])
def kv(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VaultSide]:
    """A path in Vault at which nothing is yet."""
    real = request.param == "real"
    made = RealVault(request.getfixturevalue("vault"), tmp_path) if real else VaultInMemory()
    yield made
    made.close()
