"""Docker secrets as the engine lists them: all of them, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary


@dataclass(frozen=True, slots=True, weakref_slot=True)
class DockerSecret:
    """A named value that the swarm keeps and mounts as a file into the tasks of services.

    The value never changes, and the engine gives it to nobody but a task; so another value is
    another Docker secret. Only labels can be changed.

    Attributes:
        created: When the engine made it, seconds since the epoch.
        labels: Those of a bridge may name a lease, so they are not shown: see ``Leased``.
        template_driver: Driver with which the engine expands the value for each task, as
            ``golang``; empty where tasks get the value as it is.
    """

    id: str
    name: str
    created: float
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)
    template_driver: str = ""


def shared(secret: DockerSecret) -> DockerSecret:
    """Return an equal one that somebody has already, where there is one: most never change.

    Two looks at thousands of them then keep one set of labels, and what was read of them is known.
    """
    known = _SEEN.get(secret.id)
    if known == secret:
        return known
    _SEEN[secret.id] = secret
    return secret


_SEEN: WeakValueDictionary[str, DockerSecret] = WeakValueDictionary()
"""The latest of each id, while somebody has it."""
