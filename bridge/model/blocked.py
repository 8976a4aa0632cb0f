"""Marks of blocked rolls: a service could not start on a version for a reason outside of it.

No node has room or the image, say. That tells nothing about the version, which is not set aside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bridge.model.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The roll of one service to a version was blocked before any of its tasks started.

    A label of the Docker secret keeps it. The roll is tried again by itself.

    Attributes:
        why: Description for people, with the engine's own words.
        at: When it was blocked or tried again, RFC 3339.
        tries: How many times in a row it was blocked.
        seen: Fingerprint of the nodes and of the service at that time. Once it differs, the roll
            is tried again at once.
        back: Whether the service goes back. It does not where somebody else has changed it since.
        again: Whether it is being tried again.
    """

    reason: Reason
    why: str
    at: str
    tries: int = 1
    seen: str = ""
    back: bool = False
    again: bool = False

    def write(self) -> str:
        """Return the label's value."""
        raw = {"reason": self.reason, "why": self.why, "at": self.at, "tries": self.tries}
        raw |= {"seen": self.seen} if self.seen else {}
        flags = {"back": self.back, "again": self.again}
        return json.dumps({**raw, **{key: True for key, value in flags.items() if value}})

    @classmethod
    def read(cls, text: str) -> Blocked | None:
        """Return the mark in a label's value; None where it is damaged: the roll is tried again."""
        try:
            raw = json.loads(text)
            return cls(
                reason=Reason(raw["reason"]),
                why=str(raw["why"]),
                at=str(raw["at"]),
                tries=int(raw.get("tries", 1)),
                seen=str(raw.get("seen", "")),
                back=bool(raw.get("back")),
                again=bool(raw.get("again")),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
