"""The leader's lease: which of several bridges of one instance acts, as a label of a Docker config.

It lies in a config of its own, so that its heartbeats wake nobody and touch no wish.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model.naming import PREFIX, instant

HOLDER = f"{PREFIX}holder"

_KEYS = ("id", "host", "process", "configuration", "at")

TTL = 30.0
"""Seconds for which a lease that nobody renews keeps others away; an election of the swarm's own
leader blocks writes for 10 to 20 s."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lease.

    Attributes:
        id: Never the same twice.
        host: Name of its machine or container, for people.
        process: What tells whether it still runs, for those on the same kernel; see ``leader``.
        configuration: Which configuration it goes by, see ``Desired.digest``.
        at: When it was renewed last, RFC 3339, by its own clock: for people only.
    """

    id: str
    host: str
    process: str
    configuration: str
    at: str

    def write(self) -> str:
        """Write the label's value."""
        return json.dumps({key: getattr(self, key) for key in _KEYS})

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> Holder | None:
        """Read it from a config's labels; None where nobody holds it, or it is damaged."""
        try:
            raw = json.loads(labels[HOLDER])
            holder = cls(*(str(raw[key]) for key in _KEYS))
            instant(holder.at)
        except (ValueError, KeyError, TypeError):
            return None
        return holder

    def age(self, now: float) -> float:
        """Return how many seconds ago it was renewed, as far as both clocks agree."""
        return max(0.0, now - instant(self.at) / 1e9)


def lease_config_name(instance: str) -> str:
    """Name the Docker config that is an instance's lease."""
    return f"{PREFIX}{instance}.leader"
