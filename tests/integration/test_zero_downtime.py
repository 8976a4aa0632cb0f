"""No downtime: no request fails in a rotation, and the client that says so can see failures."""

from __future__ import annotations

import pytest

from tests.bench.zero_downtime import CONTROL, READY, measure
from tests.support.lab import Lab
from tests.support.swarm import PrivateSwarm


@pytest.fixture
def private(lab: Lab) -> PrivateSwarm:
    if not isinstance(lab.swarm, PrivateSwarm):
        pytest.skip("the client enters a container's network, which needs a private engine")
    return lab.swarm


def test_no_request_fails_where_the_service_is_set_up_for_it(
    lab: Lab, private: PrivateSwarm
) -> None:
    seen = measure(lab, private, READY)
    assert seen.failures == {}
    assert seen.requests > 100


def test_the_control_fails_where_it_is_not(lab: Lab, private: PrivateSwarm) -> None:
    seen = measure(lab, private, CONTROL)
    assert 0 < seen.failed < seen.requests
