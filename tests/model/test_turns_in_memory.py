"""Services in turn, in memory: whose tasks fail while nobody heeds it, keeps its place (I7)."""

from __future__ import annotations

import pytest

from tests.model.test_model import Model
from tests.support.fakes import FIRST, LATE, POISON


@pytest.mark.parametrize("kind", ["good", POISON, FIRST, LATE])
@pytest.mark.parametrize("replicas", [1, 2, 3])
@pytest.mark.parametrize("action", ["continue", "rollback"])
def test_a_place_is_handed_over_only_once_every_task_has_run_for_as_long_as_monitor(
    action: str, replicas: int, kind: str
) -> None:
    """Each update is judged by the model as it is sent; with ``continue`` the engine heeds none."""
    model = Model()
    model.begin(
        actions=(action,) * 3,
        replicas=(replicas,) * 3,
        in_flight=1,
        everybody=False,
        lags=False,
        keep=2,
    )
    model.time_passes(30)
    begun = sum(write.startswith("update") for write in model.swarm.writes)
    model.rotate("db", kind)
    model.time_passes(30)
    updates = sum(write.startswith("update") for write in model.swarm.writes) - begun
    assert updates == 2 if kind == "good" else updates >= 1
