"""``check`` foresees that no node can take a new task beside the old ones."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.check.room import lack_of_room

PORT = {"Ports": [{"PublishedPort": 80, "PublishMode": "host"}]}
INGRESS = {"Ports": [{"PublishedPort": 80, "PublishMode": "ingress"}]}


def node(number: int, role: str = "worker", **changes: Any) -> dict[str, Any]:
    """Return a node that is ready."""
    spec = {"Role": role, "Availability": "active", "Labels": {"zone": f"z{number}"}}
    return {
        "ID": f"n{number}",
        "Spec": {**spec, **changes},
        "Status": {"State": "ready"},
        "Description": {"Hostname": f"host{number}"},
    }


def lack(
    count: int,
    replicas: int = 1,
    order: str = "start-first",
    endpoint: dict[str, Any] | None = None,
    **placement: Any,
) -> str:
    """Say what a service lacks on so many nodes, of which the first is a manager."""
    spec = {
        "TaskTemplate": {"Placement": placement},
        "Mode": {"Replicated": {"Replicas": replicas}} if replicas >= 0 else {"Global": {}},
        "UpdateConfig": {"Order": order},
        "EndpointSpec": endpoint or {},
    }
    nodes = [node(n, "manager" if n == 1 else "worker") for n in range(1, count + 1)]
    paused = node(99, Availability="pause")
    down = node(98) | {"Status": {"State": "down"}}
    return lack_of_room(spec, [*nodes, paused, down])


def test_start_first_with_a_host_mode_port_needs_a_node_more_than_tasks() -> None:
    assert "host-mode port 80 is free, and 1 node fits for 1 task;" in lack(1, endpoint=PORT)
    assert "2 nodes fit for 2 tasks" in lack(2, 2, endpoint=PORT)
    assert "2 nodes fit for 2 tasks" in lack(2, -1, endpoint=PORT)  # a global service
    assert not lack(2, 1, endpoint=PORT)
    assert not lack(1, 0, endpoint=PORT)
    assert not lack(1, endpoint=INGRESS)
    assert not lack(1, order="stop-first", endpoint=PORT)


def test_start_first_with_a_limit_per_node_needs_room_for_one_more() -> None:
    assert "2 nodes fit, each for 2 (`max_replicas_per_node`), with 4" in lack(2, 4, MaxReplicas=2)
    assert not lack(2, 3, MaxReplicas=2)
    assert not lack(2, 4, "stop-first", MaxReplicas=2)


@pytest.mark.parametrize(
    ("constraint", "fits"),
    [
        ("node.role==worker", True),
        ("node.role != worker", False),
        ("node.labels.zone == Z2", False),
        ("node.hostname!=host1", True),
        ("node.id==n1", False),
        ("engine.labels.x==1", False),
        ("node.platform.arch==x86_64", True),
    ],
)
def test_only_nodes_that_fit_are_counted(constraint: str, fits: bool) -> None:
    """Of three nodes, for one task each: two must fit."""
    found = lack(3, 1, MaxReplicas=1, Constraints=[constraint])
    assert bool(found) is not fits
