"""What several of these tests have besides a lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.inbox import HangingInbox, WebInbox
from tests.support.lab import Lab
from tests.support.leases import LeasedDatabase
from tests.support.postgres import Postgres
from tests.support.swarm import PrivateSwarm


@pytest.fixture
def leased_database(
    lab: Lab, postgres: Postgres, database: Database
) -> Iterator[Callable[..., LeasedDatabase]]:
    """Make a secret with a credential of the database, as ``LeasedDatabase`` is told to."""
    if not isinstance(lab.swarm, PrivateSwarm):
        pytest.skip("the tasks see this machine's files, which needs a private engine")
    made: list[LeasedDatabase] = []

    def new(**more: Any) -> LeasedDatabase:
        made.append(LeasedDatabase(lab, postgres, database, **more))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def inbox() -> Iterator[WebInbox]:
    made = WebInbox()
    yield made
    made.close()


@pytest.fixture
def hanging() -> Iterator[HangingInbox]:
    made = HangingInbox()
    yield made
    made.close()
