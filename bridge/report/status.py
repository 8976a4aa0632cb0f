"""How everything stands, as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.errors import Exit
from bridge.model.plan import Condition, Plan
from bridge.model.reasons import Reason, State

_COLOURS = {
    State.SYNCED: "green",
    State.ROLLING: "cyan",
    State.HELD: "yellow",
    State.DEGRADED: "red",
}
_UNREACHABLE = frozenset((Reason.VAULT_UNREACHABLE, Reason.LOGIN_REFUSED))


def exit_code(plan: Plan) -> Exit:
    """Sum a plan up as an exit code: the highest that applies."""
    codes = [Exit.DONE]
    codes += [
        Exit.UNREACHABLE if hold.reason in _UNREACHABLE else Exit.HELD
        for hold in plan.holds
        if not hold.waits
    ]
    for condition in plan.conditions:
        for service in condition.services:
            if service.state == State.DEGRADED:
                failed = service.reason == Reason.ROLL_FAILED
                codes.append(Exit.ROLL_FAILED if failed else Exit.HELD)
    return max(codes)


def status_json(conditions: Iterable[Condition]) -> dict[str, Any]:
    """Return the documented shape of ``status --json``."""
    return {
        "secrets": [
            {
                "name": condition.name,
                "vault_version": condition.vault_version,
                "running_version": condition.running_version,
                "state": condition.state,
                "reason": condition.reason,
                "message": condition.message,
                "versions": list(condition.versions),
                "services": [
                    {
                        "name": service.name,
                        "version": service.version,
                        "state": service.state,
                        "reason": service.reason,
                        "message": service.message,
                    }
                    for service in condition.services
                ],
            }
            for condition in conditions
        ]
    }


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return what a cycle would do, and what is held and why."""
    return {
        "actions": [
            {
                "action": type(action).__name__,
                "summary": action.summary,
                "reason": action.reason,
                "why": action.why,
            }
            for chain in plan.chains
            for action in chain
        ],
        "holds": [
            {
                "secret": hold.secret,
                "service": hold.service,
                "reason": hold.reason,
                "message": hold.message,
            }
            for hold in plan.holds
        ],
    }


def print_status(conditions: Iterable[Condition], console: Console) -> None:
    """Print the table, and below it what is not as it should be, in words."""
    conditions = tuple(conditions)
    if not conditions:
        console.print("The configuration has no secrets.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("SECRET", "VAULT", "RUNNING", "STATE", "REASON"):
        table.add_column(title, no_wrap=title != "SECRET", overflow="fold")
    table.add_column("SERVICES", overflow="fold")
    for condition in conditions:
        table.add_row(
            condition.name,
            _version(condition.vault_version),
            _version(condition.running_version),
            Text(condition.state, style=_COLOURS[condition.state]),
            condition.reason,
            ", ".join(f"{s.name} {_version(s.version)}" for s in condition.services) or "-",
        )
    console.print(table)
    for line in _troubles(conditions):
        console.print(line)


def print_plan(plan: Plan, console: Console) -> None:
    """Print what a cycle would do, and what is held and why."""
    actions = [action for chain in plan.chains for action in chain]
    for action in actions:
        console.print(Text(f"+ {action.summary}", style="green"))
        console.print(Text(f"    {action.reason}: {action.why}"))
    for hold in plan.holds:
        place = f"{hold.secret} on {hold.service}" if hold.service else hold.secret
        console.print(Text(f"! {place}", style="yellow"))
        console.print(Text(f"    {hold.reason}: {hold.message}"))
    if not actions:
        console.print("Nothing to do now." if plan.holds else "Nothing to do.")


def _version(number: int | None) -> str:
    return "-" if number is None else f"v{number}"


def _troubles(conditions: Iterable[Condition]) -> Iterable[Text]:
    for condition in conditions:
        said: set[str] = set()
        if condition.state != State.SYNCED and condition.message:
            said.add(condition.message)
            yield Text(f"{condition.name}: {condition.reason}: {condition.message}")
        for service in condition.services:
            line = f"{service.name}: {service.message}"
            if (
                service.state in (State.HELD, State.DEGRADED)
                and service.message
                and not ({line, service.message} & said)
            ):
                said |= {line, service.message}
                yield Text(f"{condition.name}: {service.reason}: {line}")
