"""The leader's lease: which of several bridges of one instance acts, as a label of a Docker config.

It lies in a config of its own, so that its heartbeats wake nobody and touch no wish.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.model.desired import Desired
from bridge.model.labels import PREFIX
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant
from bridge.model.vault_view import Seen, Unreadable

HOLDER = f"{PREFIX}holder"

SEEN = f"{PREFIX}seen"
"""Label with what of Vault the holder cannot use, for commands that do not ask Vault."""

_KEYS = ("id", "host", "process", "configuration", "at")

TTL = 30.0
"""Seconds for which a lease that nobody renews keeps others away; an election of the swarm's own
leader blocks writes for 10 to 20 s."""

_ENDED = frozenset(("complete", "failed", "shutdown"))


def task_has_ended(tasks: Iterable[Mapping[str, Any]], container: str) -> bool:
    """Tell whether the swarm knows that the task in a container has ended.

    These states are reported by the node that ran it, once the container has exited, and no task
    leaves them again; so an answer from a manager's past may miss an end, but cannot invent one.
    ``rejected`` and ``orphaned`` are also said by managers that do not know.
    """
    return bool(container) and any(_ended_in(task, container) for task in tasks)


def _ended_in(task: Mapping[str, Any], container: str) -> bool:
    """Tell whether a task has ended in a container; one that is not understood has not."""
    try:
        status = task["Status"]
        return status["ContainerStatus"]["ContainerID"] == container and status["State"] in _ENDED
    except (KeyError, TypeError):
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who holds the lease.

    Attributes:
        id: Never the same twice.
        host: Name of its machine or container, for people.
        process: What tells whether it still runs, for those on the same kernel; see ``leader``.
        configuration: Which configuration it goes by, see ``Desired.digest``.
        at: When it was renewed last, RFC 3339, by its own clock: for people only.
        container: Id of the container that it runs in; empty where it runs in none.
        seen: What of Vault it cannot use, by the secret's name.
    """

    id: str
    host: str
    process: str
    configuration: str
    at: str
    container: str = ""
    seen: Seen = field(default_factory=dict)

    def write(self) -> str:
        """Write the label's value."""
        return json.dumps({key: getattr(self, key) for key in (*_KEYS, "container")})

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> Holder | None:
        """Read it from a config's labels; None where nobody holds it, or it is damaged."""
        try:
            raw = json.loads(labels[HOLDER])
            own = {key: str(raw[key]) for key in _KEYS}
            container = str(raw.get("container", ""))
            seen = read_seen(labels.get(SEEN, "{}"))
            holder = cls(**own, container=container, seen=seen)
            instant(holder.at)
        except (ValueError, KeyError, TypeError):
            return None
        return holder

    def age(self, now: float) -> float:
        """Return how many seconds ago it was renewed, as far as both clocks agree."""
        return max(0.0, now - instant(self.at) / 1e9)

    def leads(self, now: float) -> bool:
        """Tell whether it is to be taken for running, as far as both clocks agree."""
        return self.age(now) <= TTL

    def goes_by(self, desired: Desired) -> bool:
        """Tell whether it has the same configuration."""
        return self.configuration == desired.digest


def write_seen(seen: Seen) -> str:
    """Write what of Vault cannot be used as a label's value."""
    raw = {name: [what.reason, what.message, what.everywhere] for name, what in seen.items()}
    return json.dumps(raw, ensure_ascii=False)


def read_seen(text: str) -> Seen:
    """Read the label's value; what is damaged, or a newer bridge's, is left out."""
    found: dict[str, Unreadable] = {}
    try:
        for name, (reason, message, everywhere) in json.loads(text).items():
            found[name] = Unreadable(Reason(reason), str(message), bool(everywhere))
    except (ValueError, TypeError, AttributeError):
        return found
    return found


def lease_config_name(instance: str) -> str:
    """Name the Docker config that is an instance's lease."""
    return f"{PREFIX}{instance}.leader"
