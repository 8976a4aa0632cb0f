"""What somebody has to write into Vault once, as a command and as what is compared with Vault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.keys.durations import duration


@dataclass(frozen=True, slots=True)
class VaultWrite:
    """One write, as ``vault write`` takes it: Vault reads lists, times and truths from text.

    Attributes:
        path: The API path.
    """

    path: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, path: str, **fields: str) -> VaultWrite:
        """Return a write of these fields, in their order."""
        return cls(path, tuple(fields.items()))

    @property
    def command(self) -> str:
        """Write it as a command."""
        return " ".join(["vault write", self.path, *(f"{k}={v}" for k, v in self.fields)])

    def differing(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that Vault has otherwise."""
        return tuple(key for key, value in self.fields if not _is(value, found.get(key)))


def _is(wanted: str, found: object) -> bool:
    """Return whether Vault keeps what was written: a list, seconds, a truth or the text."""
    if isinstance(found, bool):
        return wanted == str(found).lower()
    if isinstance(found, list):
        return wanted.split(",") == found
    if isinstance(found, int):
        return duration(wanted) == found
    return wanted == found
