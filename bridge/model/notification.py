"""Notifications: who is told of what, and what is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase


class Topic(StrEnum):
    """What somebody may want to be told: an event of ``notify``, which is none of the log."""

    FAILED = "failed"
    HELD = "held"
    LEASE_DANGER = "lease_danger"
    OVERDUE = "overdue"
    RECOVERED = "recovered"
    ROTATED = "rotated"


@dataclass(frozen=True, kw_only=True, slots=True)
class Receiver:
    """One entry of ``notify``: who is told of which events.

    Attributes:
        url_file: File with the URL, which is a credential: it is read for each message.
        events: What is told of.
        held_after: Seconds that something is held before that is told.
        min_interval: Seconds between two messages of one event with one cause.
        secrets: Patterns of the secrets' names; empty for all.
        schemes: Schemes that the URL may have.
        hosts: Patterns of hosts that the URL may name; empty for any but link-local ones.
    """

    url_file: str
    events: tuple[Topic, ...] = tuple(Topic)
    held_after: float = 600.0
    min_interval: float = 300.0
    secrets: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def concerns(self, secret: str) -> bool:
        """Return whether what happens to a secret is told; the empty name is for all secrets."""
        if not (secret and self.secrets):
            return True
        return any(fnmatchcase(secret, pattern) for pattern in self.secrets)


@dataclass(frozen=True, slots=True)
class Message:
    """What one receiver is told, in plain text without a value or a lease's id."""

    event: Topic
    title: str
    body: str
