"""Docker secrets as the engine lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DockerSecret:
    """One Docker secret, ours or not.

    Attributes:
        created: Seconds since the epoch at which the engine made it.
        template_driver: With what the engine expands it for each task; empty: not at all.
    """

    id: str
    name: str
    created: float
    labels: Mapping[str, str] = field(default_factory=dict)
    template_driver: str = ""
