"""A swarm and a Vault in memory, as strict as the real ones where the bridge rests on it.

``tests/contract`` runs the same tests over these and over the real servers.
"""

from tests.support.fakes.cluster import DUD, FIRST, LATE, POISON
from tests.support.fakes.engine import FakeEngine
from tests.support.fakes.leases import FakeLeases
from tests.support.fakes.store import Clock, Json
from tests.support.fakes.swarm import Crash, FakeSwarm
from tests.support.fakes.vault import FakeVault, NoFolders

__all__ = [
    "DUD",
    "FIRST",
    "LATE",
    "POISON",
    "Clock",
    "Crash",
    "FakeEngine",
    "FakeLeases",
    "FakeSwarm",
    "FakeVault",
    "Json",
    "NoFolders",
]
