"""Fingerprints of services and nodes: they tell two states apart without keeping either."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def fingerprint(spec: Mapping[str, Any]) -> str:
    """Return the fingerprint of a Spec's TaskTemplate: only a change of that restarts tasks."""
    return _digest(spec.get("TaskTemplate"))


def frame_of(spec: Mapping[str, Any]) -> str:
    """Return the fingerprint of a TaskTemplate without its secrets: a roll of ours keeps it."""
    template = dict(spec.get("TaskTemplate") or {})
    container = template.get("ContainerSpec") or {}
    template["ContainerSpec"] = {key: container[key] for key in container if key != "Secrets"}
    return _digest(template)


def setup_of(spec: Mapping[str, Any]) -> str:
    """Return the fingerprint of a service's mode, ports and update settings."""
    return _digest([spec.get(key) for key in ("Mode", "EndpointSpec", "UpdateConfig")])


def surroundings_of(nodes: Iterable[Mapping[str, Any]]) -> str:
    """Return the fingerprint of what the scheduler places tasks by: nodes, states, resources."""
    known = [
        [
            node.get("ID"),
            _part(node, "Status").get("State"),
            node.get("Spec"),
            {k: v for k, v in _part(node, "Description").items() if k != "TLSInfo"},
        ]
        for node in nodes
        if isinstance(node, dict)
    ]
    return _digest(sorted(known, key=lambda node: str(node[0])))


def _part(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a part of the engine's object; an empty one where it is not a map."""
    part = node.get(key)
    return part if isinstance(part, dict) else {}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
