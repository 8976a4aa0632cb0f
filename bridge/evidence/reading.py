"""Reads records from files, from the log, or from what `docker service logs` prints. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bridge.evidence.chain import Line, Record
from bridge.model.timestamps import instant


def lines_of(name: str, text: Iterable[str]) -> Iterator[Line]:
    """Yield the lines that are records, or should be.

    A line may be a record, or a line of the log with a record in it, also behind a prefix as that
    of `docker service logs`. Other lines of a log are left out.

    Args:
        name: What the file is called.
    """
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        found = _parsed(line)
        if found is None:
            yield Line(f"{name}:{number}", None)
        elif isinstance(found.get("record"), dict):
            yield Line(f"{name}:{number}", found["record"])
        elif "hash" in found:
            yield Line(f"{name}:{number}", found)


def instances_of(lines: Iterable[Line]) -> list[str]:
    """Return the instances whose records these are; each has a chain of its own."""
    return sorted({str(line.record.get("instance", "")) for line in lines if line.record})


def of_instance(lines: Iterable[Line], instance: str) -> list[Line]:
    """Return the lines of one instance, with those that are no record."""
    return [
        line
        for line in lines
        if line.record is None or str(line.record.get("instance", "")) == instance
    ]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line[line.index("{") :])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are shown; empty for all.

    Attributes:
        since, until: Seconds since the epoch.
    """

    secret: str = ""
    service: str = ""
    since: float | None = None
    until: float | None = None

    def takes(self, record: Record) -> bool:
        """Return whether a record is shown."""
        if self.secret and record.get("secret") != self.secret:
            return False
        if self.service and self.service not in _services(record):
            return False
        at = moment_of(record)
        if at is None:
            return self.since is None and self.until is None
        early = self.since is not None and at < self.since
        return not early and (self.until is None or at < self.until)


def _services(record: Record) -> set[object]:
    tasks = record.get("tasks")
    rows = tasks if isinstance(tasks, list) else []
    return {record.get("service"), *(row.get("service") for row in rows if isinstance(row, dict))}


def moment_of(record: Record) -> float | None:
    """Return when a record was made, seconds since the epoch; None where it does not tell."""
    try:
        return instant(str(record.get("at"))) / 1e9
    except ValueError:
        return None
