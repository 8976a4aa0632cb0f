"""The load can see a refusal: it meets some where a script revokes a credential that is in use.

That no login is refused by the bridge's rotations is in ``test_leases.py``.
"""

from __future__ import annotations

import pytest

from tests.bench.dual_validity import REPLICAS, by_script
from tests.support.database import Database
from tests.support.lab import Lab
from tests.support.postgres import Postgres
from tests.support.swarm import PrivateSwarm


def test_logins_are_refused_where_a_script_revokes_at_once(
    lab: Lab, postgres: Postgres, database: Database
) -> None:
    if not isinstance(lab.swarm, PrivateSwarm):
        pytest.skip("the tasks see this machine's files, which needs a private engine")
    seen = by_script(lab, postgres, database, 1)
    assert 0 < seen.refused < seen.logins
    (tasks,) = seen.spans
    assert len(tasks) == REPLICAS
    assert seen.users == 1
