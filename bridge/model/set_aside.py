"""Marks that set a version aside, so that no service is moved to it: failure, rollback, restore."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from bridge.model.labels import ASIDE


class By(StrEnum):
    """Who or what set a version aside, which decides when the mark is removed."""

    FAILURE = "failure"  # a service failed on it, and nothing else was to blame
    SUSPECT = "suspect"  # it moved together with another one, and the roll failed
    SERVICE = "service"  # it was unhealthy before, or is so on the former version too
    OPERATOR = "operator"  # an operator rolled back
    RESTORE = "restore"  # Vault was restored from a snapshot of before it


@dataclass(frozen=True, slots=True)
class SetAside:
    """A mark that a version is not used, by one service or by all; a label of its Docker secret.

    Attributes:
        at: When it was set aside, RFC 3339.
        why: Description for people.
        tried: For a suspect: whether it was already tried alone.
    """

    by: By
    at: str
    why: str
    tried: bool = False

    def write(self) -> str:
        """Return the label's value."""
        raw = {"by": self.by, "at": self.at, "why": self.why}
        return json.dumps({**raw, "tried": True} if self.tried else raw)

    @classmethod
    def read(cls, text: str) -> SetAside:
        """Return the mark in a label's value; a damaged one counts as set by an operator."""
        try:
            raw = json.loads(text)
            by, at, why = By(raw["by"]), str(raw["at"]), str(raw["why"])
            return cls(by, at, why, bool(raw.get("tried")))
        except (ValueError, KeyError, TypeError):
            return cls(By.OPERATOR, "", "its label `aside` cannot be read")


def aside_label(service_id: str = "") -> str:
    """Return the label of a mark for one service, or for all of them."""
    return f"{ASIDE}.{service_id}" if service_id else ASIDE
