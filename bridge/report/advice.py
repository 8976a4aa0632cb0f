"""What a service's own settings mean for its rolls, in words; nothing of it is ever changed.

The engine's defaults hold where a spec says nothing: ``stop-first``, and ``pause`` on failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.model.service import STACK

Json = Mapping[str, Any]


def advice(service: Json, image: Json | None, *, looked: bool = True) -> Iterator[str]:
    """Return what keeps a service from rolling well, each with what to do about it.

    Args:
        service: As the engine lists it.
        image: Its image, as the engine inspects it; None where this engine does not have it.
        looked: Whether the image was looked for at all; else it may well have a health check.
    """
    spec = service["Spec"]
    update: Json = spec.get("UpdateConfig") or {}
    start_first = update.get("Order") == "start-first"
    replicas = ((spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    if replicas == 1 and not start_first:
        yield (
            "not zero-downtime: its one task stops before the next one starts; give it a second"
            " replica or `update_config: {order: start-first}`"
        )
    if looked:
        yield from _health(spec["TaskTemplate"].get("ContainerSpec") or {}, image, start_first)
    if update.get("FailureAction", "pause") == "pause":
        yield (
            "a roll that fails stays paused half-way, on both versions; with"
            " `update_config: {failure_action: rollback}` Swarm goes back by itself"
        )
    elif update.get("FailureAction") == "continue":
        yield (
            "a roll that fails goes on to the last task; with"
            " `update_config: {failure_action: rollback}` Swarm stops and goes back by itself"
        )


def _health(container: Json, image: Json | None, start_first: bool) -> Iterator[str]:
    test = (container.get("Healthcheck") or {}).get("Test") or []
    if not test and image is not None:
        test = ((image.get("Config") or {}).get("Healthcheck") or {}).get("Test") or []
    if test and test[0] != "NONE":
        return
    where = "its spec has none, and its image is not on this node" if image is None else "none"
    after = "the old task is stopped as soon as the new process has started, ready or not"
    if not start_first:
        after = "the next task is stopped as soon as this one's process has started, ready or not"
    yield f"no health check ({where}): {after}; give it a `healthcheck`"


def pinned_by(service: Json, names: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    """Name the stack that deployed a service, and which of these secrets it refers to.

    A service that no stack deployed gives an empty name. What the stack's file says is not known
    here, only that its next deploy will write it.
    """
    spec = service["Spec"]
    stack = (spec.get("Labels") or {}).get(STACK, "")
    container = spec["TaskTemplate"].get("ContainerSpec") or {}
    found = (ref["SecretName"] for ref in container.get("Secrets") or ())
    return stack, tuple(name for name in found if name in names)
