"""The state of all secrets and services, as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.keys.durations import duration_text
from bridge.model.conditions import Condition, LeaseCondition, ServiceCondition
from bridge.model.leadership import Holder
from bridge.model.reasons import Reason, State
from bridge.model.spans import largest_unit
from bridge.model.timestamps import timestamp
from bridge.model.told import Told
from bridge.report.remedies import remedy
from bridge.report.rows import print_table

_COLOURS = {
    State.SYNCED: "green",
    State.ROLLING: "cyan",
    State.HELD: "yellow",
    State.DEGRADED: "red",
}


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
                "unused": list(condition.unused),
                "created": None if condition.created is None else timestamp(condition.created),
                "overdue": condition.overdue,
                "overdue_at": None
                if condition.overdue_at is None
                else timestamp(condition.overdue_at),
                "changed": _time(condition.changed),
                "leases": [_lease_json(lease) for lease in condition.leases],
                "services": [
                    {
                        "name": service.name,
                        "version": service.version,
                        "state": service.state,
                        "reason": service.reason,
                        "message": service.message,
                        "tasks_ready": service.tasks[0] if service.tasks else None,
                        "tasks_desired": service.tasks[1] if service.tasks else None,
                        "changed": _time(service.changed),
                    }
                    for service in condition.services
                ],
            }
            for condition in conditions
        ]
    }


def _lease_json(lease: LeaseCondition) -> dict[str, Any]:
    """Return how a generation stands; neither its lease's id nor its accessor is shown."""
    times = {
        "lease_ends": lease.lease_ends,
        "custody_ends": lease.custody_ends,
        "hard_end": lease.hard_end,
        "next_at": lease.next_at,
    }
    return {
        "version": lease.version,
        "kind": "static" if lease.static else "lease",
        "role": lease.role,
        "user": lease.user or None,
        "next": lease.next,
        "message": lease.because,
        **{key: None if at is None else timestamp(at) for key, at in times.items()},
    }


def _time(at: float | None) -> str | None:
    return None if at is None else timestamp(at)


_WORST_FIRST = (State.DEGRADED, State.HELD, State.ROLLING, State.SYNCED)


def print_status(
    conditions: Iterable[Condition], console: Console, now: float, *, wide: bool = False
) -> None:
    """Print the table, a row for each secret and service, and below it what needs words.

    What needs somebody comes first, and what to do about it stands below.

    Args:
        wide: Show which versions are kept, and when Vault made the one that runs.
    """
    conditions = sorted(conditions, key=lambda condition: _WORST_FIRST.index(condition.state))
    if not conditions:
        console.print("The configuration has no secrets.")
        return
    print_table(_table(conditions, now, wide=wide), console)
    lines = [line for condition in conditions for line in words_of(condition)]
    lines += [line for condition in conditions for line in lease_words(condition, now)]
    overdue = [c.name for c in conditions if c.overdue and c.reason != Reason.OVERDUE]
    if overdue:
        lines.append(f"Overdue for rotation as well: {', '.join(overdue)}")
    unused = [f"{c.name} v{max(c.unused)}" for c in conditions if c.unused]
    if unused:
        lines.append(
            f"No task has these any more, their values may be retired: {', '.join(unused)}"
        )
    for line in ["", *lines] if lines else []:
        console.print(Text(line), soft_wrap=not console.is_terminal)


def _table(conditions: list[Condition], now: float, *, wide: bool) -> Table:
    """Return the table; it has a column for leases only where there are any."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("SECRET", overflow="fold")
    kinds = {lease.static for condition in conditions for lease in condition.leases}
    ends = "ENDS" if len(kinds) > 1 else "ROTATES" if True in kinds else "LEASE"
    titles = ["VAULT", "RUNNING", "STATE", "REASON", "TASKS", "CHANGED"]
    titles += [*([ends] if kinds else []), "AGE", *(["KEPT", "MADE IN VAULT"] if wide else [])]
    for title in titles:
        right = title in ("AGE", "CHANGED", ends)
        table.add_column(title, no_wrap=True, justify="right" if right else "left")
    for condition in conditions:
        table.add_row(*_row(condition, now, leased=bool(kinds), wide=wide))
        for service in condition.services:
            table.add_row(
                Text(f"  {service.name}"),
                "",
                _version(service.version),
                _state(service.state),
                service.reason,
                tasks_of(service),
                age(service.changed, now),
            )
    return table


def _row(condition: Condition, now: float, *, leased: bool, wide: bool) -> list[str | Text]:
    kept = " ".join(f"v{version}" for version in condition.versions) or "-"
    return [
        Text(condition.name, style="bold"),
        _version(condition.vault_version),
        _version(condition.running_version),
        _state(condition.state),
        condition.reason,
        "",
        age(condition.changed, now),
        *([_lease_left(condition, now)] if leased else []),
        Text(age(condition.created, now), style="yellow" if condition.overdue else ""),
        *([kept, _time(condition.created) or "-"] if wide else []),
    ]


def tasks_of(service: ServiceCondition) -> str:
    """Return the tasks that run of those that are wanted, as Docker writes it: ``2/3``."""
    return "{}/{}".format(*service.tasks) if service.tasks else "-"


def leader_json(holder: Holder | None) -> dict[str, Any] | None:
    """Return who leads, or led last; None where no bridge leads."""
    if holder is None:
        return None
    period = holder.watch_period or None
    return {"host": holder.host, "renewed": holder.at, "watch_period": period}


def print_leader(
    holder: Holder | None, console: Console, now: float, *, leased: bool = False, asked: bool = True
) -> None:
    """Print below the table whether a bridge acts on it, and where the table is from.

    Args:
        leased: Whether there are leases that somebody must renew.
        asked: Whether Vault was asked.
    """
    end = " Nobody renews the leases." if leased else ""
    if not asked and not (holder and holder.leads(now)):
        end += " This is what the swarm shows; `status --vault` asks Vault itself."
    if holder is None:
        console.print(Text(f"\nNo bridge is running.{end}", style="yellow"))
    elif not holder.leads(now):
        words = f"\nNo bridge is running: the one on {holder.host} was last seen at {holder.at}."
        console.print(Text(words + end, style="yellow"))
    else:
        every = duration_text(round(holder.watch_period, 1)) if holder.watch_period else ""
        watches = f", and asks for each path of Vault every {every}" if every else ""
        words = "" if asked else " This is what it knows; `status --vault` asks Vault itself."
        console.print(Text(f"\nThe bridge on {holder.host} leads{watches}.{words}"))


def view_json(seen: Told | None, *, asked: bool = True) -> dict[str, Any]:
    """Return from whom it is known what Vault has, and when the oldest of it was asked for.

    Args:
        seen: What a bridge that runs here told; None where none did.
        asked: Whether Vault was asked where no bridge told; else the swarm shows it.
    """
    if seen is None:
        return {"from": "vault" if asked else "swarm", "as_of": None}
    return {"from": "bridge", "as_of": timestamp(seen.oldest)}


def print_view(seen: Told | None, console: Console, now: float, *, command: str = "plan") -> None:
    """Print that a bridge that runs here told what Vault has, and how old that is."""
    if seen is None:
        return
    besides = f", and Vault was asked for {seen.asked} more" if seen.asked else ""
    words = (
        f"Vault is as the bridge that runs here knows it, {largest_unit(now - seen.oldest)} old at"
        f" most{besides}; `{command} --vault` asks Vault itself."
    )
    console.print(Text(words))


CREDENTIAL_SOON = 7 * 86400.0
"""Seconds before the end of our own credential from which it is shown as a warning."""


def credential_json(ends: float | None) -> dict[str, Any]:
    """Return when our own credential for Vault ends; None where that is not known."""
    return {"ends": None if ends is None else timestamp(ends)}


def print_credential(ends: float | None, console: Console, now: float) -> None:
    """Print when our own credential for Vault ends, where that is known."""
    if ends is None:
        return
    words = f"Our secret id for Vault ends at {timestamp(ends)}, in {largest_unit(ends - now)}."
    console.print(Text(words, style="yellow" if ends - now < CREDENTIAL_SOON else ""))


def _lease_left(condition: Condition, now: float) -> str:
    """Write what is left to the credential of the running version, if nobody acts."""
    ends = {lease.version: lease.lease_ends for lease in condition.leases}
    at = ends.get(condition.running_version or max(ends, default=0))
    return "-" if at is None else largest_unit(at - now)


def lease_words(condition: Condition, now: float) -> list[str]:
    """Return a line for each generation: whose it is, when it ends, and what happens next."""
    lines: list[str] = []
    for lease in condition.leases:
        ending = "Vault rotates it" if lease.static else "lease ends"
        ends = [
            f"{what} in {largest_unit(at - now)}"
            for what, at in ((ending, lease.lease_ends), ("custody ends", lease.custody_ends))
            if at is not None
        ]
        when = "" if lease.next_at is None else f" in {largest_unit(lease.next_at - now)}"
        why = f" ({lease.because})" if lease.because else ""
        words = "; ".join([*_whose(lease), *ends, f"next: {lease.next}{when}{why}"])
        lines.append(f"{condition.name} v{lease.version}: {words}")
    return lines


def _whose(lease: LeaseCondition) -> list[str]:
    """Name the static role and the database user; never the lease, which may be ended by its id."""
    role = [f"static role {lease.role}"] if lease.static else []
    return role + ([f"user {lease.user}"] if lease.user else [])


def _version(number: int | None) -> str:
    return "-" if number is None else f"v{number}"


def _state(state: State) -> Text:
    return Text(state, style=_COLOURS[state])


def age(created: float | None, now: float) -> str:
    """Write how old a version is, to its largest unit."""
    return "-" if created is None else largest_unit(now - created)


def words_of(condition: Condition) -> list[str]:
    """Return the messages, each only once, and below each what to do about it."""
    lines: list[str] = []
    for service in condition.services:
        if service.message:
            lines.append(
                f"{condition.name} on {service.name}: {service.message} ({service.reason})"
            )
            lines += _to_do(service.reason, service.state, condition.name, service.name)
    of_services = {f"{service.name}: {service.message}" for service in condition.services}
    of_services |= {service.message for service in condition.services}
    if condition.message and condition.message not in of_services:
        own = [f"{condition.name}: {condition.message} ({condition.reason})"]
        own += _to_do(condition.reason, condition.state, condition.name)
        lines[:0] = own
    return list(dict.fromkeys(lines))


def _to_do(reason: Reason, state: State, name: str, service: str = "") -> list[str]:
    words = remedy(reason, name, service) if state in (State.HELD, State.DEGRADED) else ""
    return [f"  To do: {words}"] if words else []
