"""What is refused for a secret, as the state config keeps it for processes that did not see it.

A verdict is on the content of a version, which is not read again. A trouble is a write that is
refused, and that is tried again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bridge.model.identity import Identity
from bridge.model.labels import read_source, source_label
from bridge.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """Content of one identity that was refused, so that its value is not read again.

    Attributes:
        shape: What was asked for (format and field); another one deserves another look.
    """

    identity: Identity
    shape: str
    reason: Reason
    message: str

    def write(self) -> str:
        """Write the label's value."""
        return json.dumps(
            {
                "version": self.identity.version,
                "created": self.identity.created,
                "path_created": self.identity.path_created,
                "source": source_label(self.identity.source),
                "shape": self.shape,
                "reason": self.reason,
                "message": self.message,
            },
            ensure_ascii=False,
        )

    @classmethod
    def read(cls, text: str) -> Verdict | None:
        """Read the label's value; None where somebody has damaged it."""
        try:
            raw = json.loads(text)
            source = read_source(raw["source"])
            identity = Identity(source, raw["path_created"], int(raw["version"]), raw["created"])
            return cls(identity, raw["shape"], Reason(raw["reason"]), raw["message"])
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a server refuses for a secret, kept in the swarm for those who did not see it.

    Attributes:
        at: When it was first so, RFC 3339.
        services: Names of the services whose update is refused; empty for the whole secret.
    """

    reason: Reason
    message: str
    at: str
    services: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is wrong, and since when."""
        return f"{self.message} (since {self.at})"

    def write(self) -> str:
        """Write the label's value."""
        raw: dict[str, object] = {"reason": self.reason, "message": self.message, "at": self.at}
        if self.services:
            raw["services"] = self.services
        return json.dumps(raw, ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Trouble | None:
        """Read the label's value; None where somebody has damaged it."""
        try:
            raw = json.loads(text)
            services = tuple(str(name) for name in raw.get("services", ()))
            message, at = str(raw["message"]), str(raw["at"])
            return cls(Reason(raw["reason"]), message, at, services)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
