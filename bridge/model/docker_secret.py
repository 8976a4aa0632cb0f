"""Docker secrets as the engine lists them: all of them, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
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
