"""What a check finds, and how bad it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
        where: The part of the configuration, or the server.
        code: What it means for the exit code.
    """

    level: Level
    where: str
    message: str
    code: Exit = Exit.DONE

    def json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {key: value for key, value in asdict(self).items() if key != "code"}


def to_grant(*rules: Rule) -> str:
    """Return the lines that a policy lacks, as the end of a message."""
    return "; add to its policy (`vault-bridge policy` prints it whole):" + "".join(
        f"\n  {rule.hcl}" for rule in rules
    )
