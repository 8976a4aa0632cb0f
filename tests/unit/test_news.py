"""The log says each change once, and what changes for many secrets as one line."""

from __future__ import annotations

from typing import Any

from bridge.model.conditions import Condition, Hold
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.report.news import MANY, News


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    warning = info

    def said(self) -> list[str]:
        """Return the events since the last time."""
        said = [event for event, _ in self.lines]
        self.lines.clear()
        return said


def _plan(count: int, *, held: bool) -> Plan:
    names = [f"s{n}" for n in range(count)]
    reason = Reason.VAULT_UNREACHABLE if held else Reason.UP_TO_DATE
    state = State.HELD if held else State.SYNCED
    conditions = tuple(
        Condition(
            name=name, state=state, reason=reason, message="", vault_version=None, running_version=1
        )
        for name in names
    )
    holds = (
        tuple(Hold(secret=name, reason=reason, message="no answer") for name in names)
        if held
        else ()
    )
    return Plan(chains=(), holds=holds, conditions=conditions)


def test_each_change_once() -> None:
    log = _Log()
    news = News(log)
    news.tell(_plan(2, held=False))
    assert log.said() == ["state", "state"]
    news.tell(_plan(2, held=False))
    assert log.said() == []
    news.tell(_plan(2, held=True))
    assert sorted(log.said()) == ["held", "held"]  # the state is the hold
    news.tell(_plan(2, held=True))
    assert log.said() == []
    news.tell(_plan(2, held=False))
    assert sorted(log.said()) == ["no_longer_held", "no_longer_held", "state", "state"]


def test_many_changes_of_one_kind_are_one_line() -> None:
    log = _Log()
    news = News(log)
    for held in (False, True, False):
        news.tell(_plan(MANY + 1, held=held))
    assert log.said() == ["state", "held", "state", "no_longer_held"]


def test_what_is_overdue_is_logged_once() -> None:
    log = _Log()
    news = News(log)
    notices = [Hold(secret=f"s{n}", reason=Reason.OVERDUE, message="old") for n in range(MANY + 1)]
    for some in (notices[:1], notices[:1], notices):
        news.tell(Plan(chains=(), holds=(), conditions=(), notices=tuple(some)))
    assert log.said() == ["overdue"] * (1 + MANY)
    news = News(log)
    news.tell(Plan(chains=(), holds=(), conditions=(), notices=tuple(notices)))
    ((event, fields),) = log.lines
    assert (event, fields["count"]) == ("overdue", MANY + 1)
