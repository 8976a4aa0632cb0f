"""What is asked of a running bridge over HTTP, and what it answers: both are values.

A page is a pure function of what is known, so that whoever asks changes nothing and waits for
nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.model.cycle_report import CycleReport
from bridge.model.desired import Desired
from bridge.model.settings import Settings
from bridge.model.vitals import Vitals


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What a running bridge knows at the moment at which somebody asks.

    Attributes:
        now: Seconds since the epoch.
        vitals: Its latest signs of life.
        age: How many seconds ago the last one came.
        report: Its latest cycle; None before the first one has ended.
        seen: Its latest cycle that saw the swarm and led; None where it never did, or where
            another bridge leads by now.
        query: What follows the ``?`` in the address that was asked for, as it came.
        refused: What is wrong with the configuration that it was to go by last, and does not.
        accept: What content whoever asks would take, as the header ``Accept``.
    """

    now: float
    desired: Desired
    settings: Settings
    vitals: Vitals
    age: float
    report: CycleReport | None
    seen: CycleReport | None
    refused: tuple[str, ...] = ()
    query: str = ""
    accept: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back.

    Attributes:
        status: HTTP's status.
        content_type: With its charset, where it is text.
        headers: More headers; names in lower case.
    """

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_json(cls, what: dict[str, Any], status: int = 200) -> Answer:
        """Return an answer for programs, as commands print it with ``--json``."""
        text = json.dumps(what, indent=2, ensure_ascii=False)
        return cls(status, "application/json", f"{text}\n".encode())

    @classmethod
    def of_text(cls, text: str, status: int = 200) -> Answer:
        """Return an answer of one line."""
        return cls(status, "text/plain; charset=utf-8", f"{text}\n".encode())


Page = Callable[[Known], Answer]
"""Makes the answer for one path. It is called by the thread of the server, one at a time."""
