"""The leader's lease: which of several bridges of one instance acts.

It is a label of a Docker config of its own, so that its heartbeats wake nobody and change no wish.
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
"""Label with why Vault's versions cannot be used, for commands that do not ask Vault."""

_KEYS = ("id", "host", "process", "configuration", "at")

TTL = 30.0
"""Seconds for which a lease that nobody renews keeps others away; an election of the swarm's own
leader blocks writes for 10 to 20 s."""

_ENDED = frozenset(("complete", "failed", "shutdown"))


def task_has_ended(tasks: Iterable[Mapping[str, Any]], container: str) -> bool:
    """Return whether the swarm knows that the task in a container has ended.

    These states are reported by the node that ran it, once the container has exited, and no task
    leaves them again; so an answer from a manager's past may miss an end, but cannot invent one.
    ``rejected`` and ``orphaned`` are also set by managers that cannot know.
    """
    return bool(container) and any(_ended_in(task, container) for task in tasks)


def _ended_in(task: Mapping[str, Any], container: str) -> bool:
    """Return whether a task has ended in a container; False where its object is malformed."""
    try:
        status = task["Status"]
        return status["ContainerStatus"]["ContainerID"] == container and status["State"] in _ENDED
    except (KeyError, TypeError):
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """The bridge that holds the lease, by its own account.

    Attributes:
        id: Never the same twice.
        host: Name of its machine or container, for people.
        process: Its process, so that a bridge on the same kernel can find out whether it still
            runs; see ``leader``.
        configuration: Digest of its configuration, see ``Desired.digest``.
        at: When it last renewed the lease, RFC 3339, by its own clock: for people only.
        container: Id of the container that it runs in; empty where it runs in none.
        seen: Why Vault's versions cannot be used, by the secret's name.
        watch_period: Seconds in which it asks for each path of Vault; 0 where it does not tell.
    """

    id: str
    host: str
    process: str
    configuration: str
    at: str
    container: str = ""
    seen: Seen = field(default_factory=dict)
    watch_period: float = 0.0

    def write(self) -> str:
        """Return the label's value."""
        return json.dumps(
            {key: getattr(self, key) for key in (*_KEYS, "container", "watch_period")}
        )

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> Holder | None:
        """Return the holder in a config's labels; None where nobody holds it, or it is damaged."""
        try:
            raw = json.loads(labels[HOLDER])
            own = {key: str(raw[key]) for key in _KEYS}
            container = str(raw.get("container", ""))
            seen = read_seen(labels.get(SEEN, "{}"))
            period = float(raw.get("watch_period", 0.0))
            holder = cls(**own, container=container, seen=seen, watch_period=period)
            instant(holder.at)
        except (ValueError, KeyError, TypeError):
            return None
        return holder

    def age(self, now: float) -> float:
        """Return how many seconds ago the lease was renewed, as far as both clocks agree."""
        return max(0.0, now - instant(self.at) / 1e9)

    def leads(self, now: float) -> bool:
        """Return whether the lease has not expired, as far as both clocks agree."""
        return self.age(now) <= TTL

    def goes_by(self, desired: Desired) -> bool:
        """Return whether the holder has this very configuration."""
        return self.configuration == desired.digest


def write_seen(seen: Seen) -> str:
    """Return the label's value for why Vault's versions cannot be used."""
    raw = {name: [what.reason, what.message, what.everywhere] for name, what in seen.items()}
    return json.dumps(raw, ensure_ascii=False)


def read_seen(text: str) -> Seen:
    """Return what ``write_seen`` wrote; damaged entries and unknown reasons are left out."""
    found: dict[str, Unreadable] = {}
    try:
        for name, (reason, message, everywhere) in json.loads(text).items():
            found[name] = Unreadable(Reason(reason), str(message), bool(everywhere))
    except (ValueError, TypeError, AttributeError):
        return found
    return found


def lease_config_name(instance: str) -> str:
    """Return the name of the Docker config that holds the lease of an instance."""
    return f"{PREFIX}{instance}.leader"
