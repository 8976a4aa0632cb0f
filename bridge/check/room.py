"""Is there room for a new task beside the old ones, as ``start-first`` needs it?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]

_CONSTRAINT = re.compile(r"\s*([\w./-]+)\s*(==|!=)\s*(.*?)\s*")


def lack_of_room(spec: Json, nodes: Iterable[Json]) -> str:
    """Say why no node takes a new task while the old ones run; empty where one does.

    Args:
        spec: A service's spec.
        nodes: As the engine lists them.
    """
    if (spec.get("UpdateConfig") or {}).get("Order") != "start-first":
        return ""
    mode, placement = spec.get("Mode") or {}, spec["TaskTemplate"].get("Placement") or {}
    constraints = placement.get("Constraints") or ()
    fitting = sum(_fits(node, constraints) for node in nodes)
    tasks = fitting if "Global" in mode else (mode.get("Replicated") or {}).get("Replicas", 1)
    if not tasks:
        return ""
    are = "node fits" if fitting == 1 else "nodes fit"
    ports = [
        str(port.get("PublishedPort"))
        for port in (spec.get("EndpointSpec") or {}).get("Ports") or ()
        if port.get("PublishMode") == "host" and port.get("PublishedPort")
    ]
    count = f"{tasks} task{'s' * (tasks != 1)}"
    most = placement.get("MaxReplicas") or 0
    if ports and fitting <= tasks:
        return (
            f"no roll can begin: with `order: start-first` a new task needs a node where the"
            f" host-mode port {', '.join(ports)} is free, and {fitting} {are} for {count}; set"
            " `update_config: {order: stop-first}`, or add a node"
        )
    if most and most * fitting <= tasks:
        return (
            f"no roll can begin: with `order: start-first` a new task needs room beside the old"
            f" ones, and {fitting} {are}, each for {most} (`max_replicas_per_node`), with {count};"
            " raise it, add a node, or set `update_config: {order: stop-first}`"
        )
    return ""


def _fits(node: Json, constraints: Iterable[str]) -> bool:
    """Tell whether a node takes tasks of a service, by its constraints."""
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
