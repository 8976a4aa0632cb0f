"""Refusal is logged once while it lasts, and so is its end."""

from __future__ import annotations

from typing import Any

from bridge.errors import SwarmRefused, SwarmUnreachable
from bridge.report.lifecycle import Lifecycle


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    warning = error = info

    def taken(self) -> list[str]:
        """Return the events since the last time."""
        events = [event for event, _ in self.lines]
        self.lines.clear()
        return events


def test_trouble_of_one_kind_is_logged_once() -> None:
    log = _Log()
    lifecycle = Lifecycle(log)
    lifecycle.tell_trouble(SwarmUnreachable("no answer"))
    lifecycle.tell_trouble(SwarmRefused("not a manager"))
    assert log.taken() == ["swarm_unreachable"]
    lifecycle.tell_trouble(KeyError("x"))
    lifecycle.tell_trouble(KeyError("y"))
    assert log.taken() == ["cycle_failed"]
    lifecycle.tell_cycle()
    lifecycle.tell_cycle()
    assert log.taken() == ["cycles_resumed"]
    lifecycle.tell_trouble(KeyError("x"))
    assert log.taken() == ["cycle_failed"]


def test_the_message_of_an_unexpected_error_is_not_logged() -> None:
    """I6: a library may quote a value in it."""
    log = _Log()
    Lifecycle(log).tell_trouble(ValueError("canary"))
    assert "canary" not in repr(log.lines)


def test_who_leads() -> None:
    log = _Log()
    lifecycle = Lifecycle(log)
    lifecycle.tell_lead("", leads=True)
    lifecycle.tell_lead("host", leads=False)
    lifecycle.tell_lead("", leads=False)  # nobody is known to
    assert log.lines == [
        ("leads", {}),
        ("stands_by", {"leader": "host"}),
    ]
