"""Tells two states of a service or of the nodes apart without keeping either."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def fingerprint(spec: Mapping[str, Any]) -> str:
    """Tell two TaskTemplates of a service's spec apart; only a change of it restarts tasks."""
    return _digest(spec.get("TaskTemplate"))


def frame_of(spec: Mapping[str, Any]) -> str:
    """Tell two TaskTemplates apart by all but their secrets: what a roll of ours leaves alone."""
    template = dict(spec.get("TaskTemplate") or {})
    container = template.get("ContainerSpec") or {}
    template["ContainerSpec"] = {key: container[key] for key in container if key != "Secrets"}
    return _digest(template)


def setup_of(spec: Mapping[str, Any]) -> str:
    """Tell two specs of a service apart by its mode, its ports and how it is updated."""
    return _digest([spec.get(key) for key in ("Mode", "EndpointSpec", "UpdateConfig")])


def surroundings_of(nodes: Iterable[Mapping[str, Any]]) -> str:
    """Tell whether the nodes changed in a way that a scheduler minds."""
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
    """Return a part of an object; an empty one where it is not understood."""
    part = node.get(key)
    return part if isinstance(part, dict) else {}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
