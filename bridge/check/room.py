"""Is there room for a new task beside the old ones, as ``start-first`` needs it?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]

_CONSTRAINT = re.compile(r"\s*([\w./-]+)\s*(==|!=)\s*(.*?)\s*")


def lack_of_room(spec: Json, nodes: Iterable[Json]) -> str:
    """Return why no node takes a new task while the old ones run; empty where one does.

    With `order: start-first` a new task starts beside the old one, so it needs a node of its own:

    1. for a port in host mode, which only one task of a node can have;
    2. where `max_replicas_per_node` allows no more tasks on the nodes that fit.

    Args:
        spec: A service's spec.
        nodes: As the engine lists them.
    """
    if (spec.get("UpdateConfig") or {}).get("Order") != "start-first":
        return ""
    placement = spec["TaskTemplate"].get("Placement") or {}
    fitting = sum(_fits(node, placement.get("Constraints") or ()) for node in nodes)
    tasks = _tasks(spec, fitting)
    if not tasks:
        return ""
    are = "node fits" if fitting == 1 else "nodes fit"
    count = f"{tasks} task{'s' * (tasks != 1)}"
    ports = _host_ports(spec)
    if ports and fitting <= tasks:
        return (
            f"no roll can begin: with `order: start-first` a new task needs a node where the"
            f" host-mode port {', '.join(ports)} is free, and {fitting} {are} for {count}; set"
            " `update_config: {order: stop-first}`, or add a node"
        )
    most = placement.get("MaxReplicas") or 0
    if most and most * fitting <= tasks:
        return (
            f"no roll can begin: with `order: start-first` a new task needs room beside the old"
            f" ones, and {fitting} {are}, each for {most} (`max_replicas_per_node`), with {count};"
            " raise it, add a node, or set `update_config: {order: stop-first}`"
        )
    return ""


def _tasks(spec: Json, fitting: int) -> int:
    """Return how many tasks a service has; a global one has one on each node that fits."""
    mode = spec.get("Mode") or {}
    if "Global" in mode:
        return fitting
    return int((mode.get("Replicated") or {}).get("Replicas", 1) or 0)


def _host_ports(spec: Json) -> list[str]:
    """Return the ports that a service publishes in host mode."""
    ports = (spec.get("EndpointSpec") or {}).get("Ports") or ()
    return [
        str(port["PublishedPort"])
        for port in ports
        if port.get("PublishMode") == "host" and port.get("PublishedPort")
    ]


def _fits(node: Json, constraints: Iterable[str]) -> bool:
    """Return whether a node takes tasks of a service, by its constraints."""
    spec = node.get("Spec") or {}
    if spec.get("Availability") != "active" or node["Status"].get("State") != "ready":
        return False
    return all(_meets(node, constraint) for constraint in constraints)


def _meets(node: Json, constraint: str) -> bool:
    found = _CONSTRAINT.fullmatch(constraint)
    if found is None:
        return True
    key, operator, wanted = found.groups()
    value = _value(node, key)
    if value is None:
        return True  # a key that is not known here
    return (value.lower() == wanted.lower()) == (operator == "==")


def _value(node: Json, key: str) -> str | None:
    """Return what a node has under a key of constraints; None where the key is not known."""
    spec, description = node.get("Spec") or {}, node.get("Description") or {}
    platform, engine = description.get("Platform") or {}, description.get("Engine") or {}
    if key.startswith("node.labels."):
        return str((spec.get("Labels") or {}).get(key.removeprefix("node.labels."), ""))
    if key.startswith("engine.labels."):
        return str((engine.get("Labels") or {}).get(key.removeprefix("engine.labels."), ""))
    known = {
        "node.id": node.get("ID"),
        "node.hostname": description.get("Hostname"),
        "node.role": spec.get("Role"),
        "node.platform.os": platform.get("OS"),
    }
    return None if key not in known else str(known[key] or "")
