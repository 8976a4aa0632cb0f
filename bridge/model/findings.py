"""What a check finds, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridge.errors import Exit
from bridge.model.rule import Rule


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        where: The part of the configuration, the server, or the service.
        code: What it means for the exit code.
        place: The configuration's file and the line in it, counted from 1; None where it is no part
            of that.
    """

    level: Level
    where: str
    message: str
    code: Exit = Exit.DONE
    place: tuple[str, int] | None = None

    def json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        file, line = self.place or (None, None)
        found = {"level": self.level, "where": self.where, "message": self.message}
        return {**found, "file": file, "line": line}


def to_grant(*rules: Rule) -> str:
    """Return the lines that a policy lacks, as the end of a message."""
    return "; add to its policy (`vault-bridge policy` prints it whole):" + "".join(
        f"\n  {rule.hcl}" for rule in rules
    )
