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
    """The refusal of a version's content: the value is not read from Vault again.

    Attributes:
        shape: What of the version was asked for, see ``Content.shape``. Another shape is a new
            attempt.
        message: Names of fields, and no byte of a value.
    """

    identity: Identity
    shape: str
    reason: Reason
    message: str

    def write(self) -> str:
        """Return the label's value."""
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
        """Return what a label's value holds; None where it is damaged."""
        try:
            raw = json.loads(text)
            source = read_source(raw["source"])
            identity = Identity(source, raw["path_created"], int(raw["version"]), raw["created"])
            return cls(identity, raw["shape"], Reason(raw["reason"]), raw["message"])
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that a server refuses again and again, kept for processes that did not see it.

    Attributes:
        at: When it was first refused, RFC 3339.
        services: Names of the services whose update is refused; empty for the whole secret.
    """

    reason: Reason
    message: str
    at: str
    services: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The message, with the time since when."""
        return f"{self.message} (since {self.at})"

    def write(self) -> str:
        """Return the label's value."""
        raw: dict[str, object] = {"reason": self.reason, "message": self.message, "at": self.at}
        if self.services:
            raw["services"] = self.services
        return json.dumps(raw, ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Refusal | None:
        """Return what a label's value holds; None where it is damaged."""
        try:
            raw = json.loads(text)
            services = tuple(str(name) for name in raw.get("services", ()))
            message, at = str(raw["message"]), str(raw["at"])
            return cls(Reason(raw["reason"]), message, at, services)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
