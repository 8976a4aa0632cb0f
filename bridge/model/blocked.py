"""Why a service could not be rolled to a version though nothing is known against the version."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bridge.model.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A mark on a version: its roll of one service was blocked before any task of it started.

    It sets nothing aside. The roll is tried again by itself.

    Attributes:
        why: In words, with the engine's own.
        at: When it was blocked or tried again, RFC 3339.
        tries: How often it was blocked in a row.
        seen: Fingerprint of the nodes and of the service then: a change of them may mend it.
        back: Whether the service goes back. It does not where somebody changed it meanwhile.
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
        """Write the label's value."""
        raw = {"reason": self.reason, "why": self.why, "at": self.at, "tries": self.tries}
        raw |= {"seen": self.seen} if self.seen else {}
        flags = {"back": self.back, "again": self.again}
        return json.dumps({**raw, **{key: True for key, value in flags.items() if value}})

    @classmethod
    def read(cls, text: str) -> Blocked | None:
        """Read the label's value; None where somebody has damaged it: then it is tried again."""
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
