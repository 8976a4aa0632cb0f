"""A plan as people review it, in a terminal and in a merge request, and as programs read it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from bridge.decide.ahead import is_change
from bridge.model.actions import Action
from bridge.model.changes import Change, ChangeKind, Forecast
from bridge.model.conditions import Hold, ServiceCondition
from bridge.model.plan import Plan
from bridge.model.reasons import State
from bridge.report.remedies import remedy
from bridge.report.rows import Row, counted, print_rows

MANY = 20
"""Rolls beyond which a plan sums them up by secret and stack."""

_MARKS = {
    ChangeKind.CREATE: ("+", "green"),
    ChangeKind.ROLL: ("~", "yellow"),
    ChangeKind.REMOVE: ("-", "red"),
    ChangeKind.END: ("-", "red"),
}


# --- words ----------------------------------------------------------------------------------------


def summary(forecast: Forecast) -> str:
    """Return the counts in words: ``1 to create, 2 to roll, 1 held``."""
    counts = forecast.counts
    words = {
        "create": "to create",
        "roll": "to roll",
        "end": "to end",
        "remove": "to remove",
        "under_way": "under way",
        "held": "held",
        "failed": "failed",
    }
    return ", ".join(f"{counts[key]} {said}" for key, said in words.items() if counts[key])


def unverified(forecast: Forecast) -> str:
    """Return which contents nobody has judged yet; empty where there are none."""
    count = forecast.counts["unverified"]
    if not count:
        return ""
    what = "1 content is" if count == 1 else f"{count} contents are"
    return (
        f"{what} unverified: a plan reads no value. `vault-bridge check --values` reads each once"
        " and reports whether its fields and its format are right."
    )


def in_turn(forecast: Forecast, max_in_flight: int) -> str:
    """Return how services take turns; empty where they need not."""
    if forecast.counts["roll"] <= max_in_flight:
        return ""
    at_once = counted(max_in_flight, "service")
    return f"At most {at_once} at a time: the next one begins when one has converged."


def _nothing(forecast: Forecast) -> str:
    if forecast.notices:
        return "No changes."
    secrets = len(forecast.conditions)
    services = {s.name for c in forecast.conditions for s in c.services}
    if not secrets:
        return "No changes. The configuration has no secrets."
    ready = f"{counted(secrets, 'secret')} and {counted(len(services), 'service')}"
    return f"No changes. {ready} are up to date."


# --- on a terminal --------------------------------------------------------------------------------


def print_plan(
    plan: Plan, forecast: Forecast, console: Console, *, max_in_flight: int, verbose: bool = False
) -> None:
    """Print what will be done, what is held and why, and last how much that is.

    Args:
        max_in_flight: Most services that are rolled at once.
        verbose: Print the bridge's own marks and renewals too, a reason for each change, and every
            service where they would be summed up.
    """
    rows = [
        *_change_rows(forecast.changes, verbose=verbose),
        *_service_rows(forecast.under_way, "…", "cyan"),
        *_waiting_rows(forecast),
        *_hold_rows(forecast.holds, "!", "yellow"),
        *_service_rows(forecast.failed, "x", "red"),
        *_hold_rows(forecast.notices, "i", "cyan"),
    ]
    print_rows(rows, console)
    if verbose:
        print_rows(_marks(plan), console)
    counts = forecast.counts
    if not any(counts.values()):
        _say("", console, after=bool(forecast.notices))
        _say(_nothing(forecast), console)
        return
    _say("", console, after=True)
    head = "Plan" if forecast.changes else "No changes"
    _say(f"{head}: {summary(forecast)}.", console, style="bold")
    for line in (in_turn(forecast, max_in_flight), unverified(forecast)):
        _say(line, console, after=False)


def _say(line: str, console: Console, *, style: str = "", after: bool = False) -> None:
    if line or after:
        console.print(Text(line, style=style), soft_wrap=not console.is_terminal)


def _change_rows(changes: Iterable[Change], *, verbose: bool) -> Iterator[Row]:
    changes = list(changes)
    rolls = [change for change in changes if change.kind == ChangeKind.ROLL]
    summed = len(rolls) > MANY and not verbose
    done = False
    for change in changes:
        mark, style = _MARKS[change.kind]
        if change.kind == ChangeKind.ROLL and summed:
            if not done:
                yield from _summed_rows(rolls)
            done = True
            continue
        words = change.summary
        if change.kind == ChangeKind.CREATE and not change.verified:
            words += ", content unverified"
        if change.kind == ChangeKind.REMOVE:
            words = f"{words}"
        yield Row(mark, change.name, words, style)
        if verbose:
            yield Row(" ", "", f"{change.reason}: {change.why}")


def _summed_rows(rolls: Iterable[Change]) -> Iterator[Row]:
    """Yield a line for each move that services have in common, with how many they are by stack."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for change in rolls:
        for move in change.moves:
            found[move.summary][change.stack] += 1
    mark, style = _MARKS[ChangeKind.ROLL]
    for moves, stacks in found.items():
        listed = ", ".join(f"{name or 'no stack'} {n}" for name, n in stacks.most_common())
        yield Row(mark, counted(stacks.total(), "service"), f"{moves} ({listed})", style)


def _service_rows(
    found: Iterable[tuple[str, ServiceCondition]], mark: str, style: str
) -> Iterator[Row]:
    for secret, service in found:
        words = f"{secret}: {service.reason}: {service.message}".rstrip(": ")
        yield Row(mark, service.name, words, style)
        to_do = remedy(service.reason, secret, service.name)
        if to_do and service.state == State.DEGRADED:
            yield Row(" ", "", f"To do: {to_do}")


def _waiting_rows(forecast: Forecast) -> Iterator[Row]:
    for condition in forecast.waiting:
        words = f"{condition.reason}: {condition.message}".rstrip(": ")
        yield Row("…", condition.name, words, "cyan")


def _hold_rows(holds: Iterable[Hold], mark: str, style: str) -> Iterator[Row]:
    for hold in holds:
        words = f"{hold.reason}: {hold.message}"
        if hold.service:
            yield Row(mark, hold.service, f"{hold.secret}: {words}", style)
        else:
            yield Row(mark, hold.secret or "all secrets", words, style)


def _marks(plan: Plan) -> Iterator[Row]:
    """Yield what the bridge writes for itself, which no service sees."""
    for action in _actions(plan):
        if not is_change(action):
            yield Row(".", action.summary, f"{action.reason}", "dim")


def _actions(plan: Plan) -> Iterator[Action]:
    return (action for chain in plan.chains for action in chain)


# --- in a merge request ---------------------------------------------------------------------------


def plan_markdown(forecast: Forecast, *, max_in_flight: int) -> str:
    """Return the plan for a comment on a merge request."""
    lines = [f"### vault-bridge plan: {summary(forecast) or 'no changes'}", ""]
    if forecast.changes:
        lines += ["| | what | change | why |", "| --- | --- | --- | --- |"]
    for row, why in _markdown_rows(forecast.changes):
        lines.append(f"| {row.mark} | `{row.name}` | {_cell(row.words)} | {_cell(why)} |")
    lines += [""] if forecast.changes else []
    for title, found in (
        ("Under way", (*_service_rows(forecast.under_way, "", ""), *_waiting_rows(forecast))),
        ("Held", _hold_rows(forecast.holds, "!", "")),
        ("Failed", (row for row in _service_rows(forecast.failed, "", "") if row.name)),
        ("To know", _hold_rows(forecast.notices, "i", "")),
    ):
        rows = list(found)
        lines += [f"**{title}**", ""] if rows else []
        lines += [f"- `{row.name}`: {row.words}" for row in rows]
        lines += [""] if rows else []
    more = [in_turn(forecast, max_in_flight), unverified(forecast)]
    lines += [line for line in more if line] or ([] if forecast.changes else [_nothing(forecast)])
    return "\n".join(lines).rstrip("\n") + "\n"


def _markdown_rows(changes: Iterable[Change]) -> Iterator[tuple[Row, str]]:
    changes = list(changes)
    rolls = [change for change in changes if change.kind == ChangeKind.ROLL]
    if len(rolls) > MANY:
        changes = [change for change in changes if change.kind != ChangeKind.ROLL]
    whys = {change.name: str(change.reason) for change in changes}
    for row in _change_rows(changes, verbose=False):
        yield row, whys.get(row.name, "")
    if len(rolls) > MANY:
        for row in _summed_rows(rolls):
            yield row, str(rolls[0].reason)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# --- for programs ---------------------------------------------------------------------------------


def plan_json(plan: Plan, forecast: Forecast) -> dict[str, Any]:
    """Return the documented shape of ``plan --json``."""
    return {
        "actions": [
            {
                "action": type(action).__name__,
                "summary": action.summary,
                "reason": action.reason,
                "message": action.why,
            }
            for action in _actions(plan)
        ],
        "holds": [_hold_json(hold) for hold in plan.holds],
        "notices": [_hold_json(notice) for notice in plan.notices],
        "changes": [change_json(change) for change in forecast.changes],
        "held": [_hold_json(hold) for hold in forecast.holds],
        "under_way": [_service_json(secret, service) for secret, service in forecast.under_way]
        + [
            {"secret": c.name, "service": "", "reason": c.reason, "message": c.message}
            for c in forecast.waiting
            if c.state == State.ROLLING
        ],
        "failed": [_service_json(secret, service) for secret, service in forecast.failed],
        "counts": dict(forecast.counts),
    }


def change_json(change: Change) -> dict[str, Any]:
    """Return one change; Docker secrets are named, and none of their contents is known here."""
    return {
        "change": change.kind,
        "secrets": list(change.secrets),
        "docker_secret": change.docker_secret,
        "version": change.version,
        "service": change.service,
        "stack": change.stack,
        "moves": [{"secret": m.secret, "from": m.before, "to": m.after} for m in change.moves],
        "summary": change.summary,
        "reason": change.reason,
        "message": change.why,
        "now": change.now,
        "verified": change.verified,
    }


def _hold_json(hold: Hold) -> dict[str, Any]:
    return {
        "secret": hold.secret,
        "service": hold.service,
        "reason": hold.reason,
        "message": hold.message,
    }


def _service_json(secret: str, service: ServiceCondition) -> dict[str, Any]:
    return {
        "secret": secret,
        "service": service.name,
        "reason": service.reason,
        "message": service.message,
    }
