"""Marks that set a version aside: no service is moved to it, for whatever reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from bridge.model.labels import ASIDE


class By(StrEnum):
    """Who or what set a version aside."""

    FAILURE = "failure"  # a service failed on it, and nothing else was to blame
    SUSPECT = "suspect"  # it moved together with another one, and the roll failed
    SERVICE = "service"  # the service was ill before, or is so on the former version too
    OPERATOR = "operator"  # somebody's word
    RESTORE = "restore"  # Vault was restored to before it


@dataclass(frozen=True, slots=True)
class SetAside:
    """A mark that a version is not to be used.

    Attributes:
        at: When, RFC 3339.
        why: In words.
        tried: Of a suspect: whether it has had its turn alone.
    """

    by: By
    at: str
    why: str
    tried: bool = False

    def write(self) -> str:
        """Write the label's value."""
        raw = {"by": self.by, "at": self.at, "why": self.why}
        return json.dumps({**raw, "tried": True} if self.tried else raw)

    @classmethod
    def read(cls, text: str) -> SetAside:
        """Read the label's value; a damaged one sets aside all the same, as by somebody's word."""
        try:
            raw = json.loads(text)
            by, at, why = By(raw["by"]), str(raw["at"]), str(raw["why"])
            return cls(by, at, why, bool(raw.get("tried")))
        except (ValueError, KeyError, TypeError):
            return cls(By.OPERATOR, "", "its label `aside` cannot be read")


def aside_label(service_id: str = "") -> str:
    """Name the label of a mark for one service, or for the whole name."""
    return f"{ASIDE}.{service_id}" if service_id else ASIDE
