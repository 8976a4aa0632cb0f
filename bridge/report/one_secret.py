"""One secret whole: its versions, who has which, its rolls, the marks on it with who and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.model.conditions import Condition
from bridge.model.mirror import Mirror
from bridge.model.swarm_view import SwarmView
from bridge.model.wishes import Wish, pause_of
from bridge.report.rows import counted, print_table
from bridge.report.status import age, lease_words, tasks_of, words_of


def _head(condition: Condition, source: str) -> str:
    vault = condition.vault_version
    told = "" if vault is None else f", version {vault} in Vault"
    from_ = f"  from {source}{told}" if source else ""
    return f"{condition.name}  {condition.state}: {condition.reason}{from_}"


def print_one(
    condition: Condition,
    swarm: SwarmView,
    instance: str,
    console: Console,
    now: float,
    *,
    source: str = "",
) -> None:
    """Print all that is known of one secret.

    Args:
        source: Where in Vault it comes from; empty where the configuration does not have it.
    """
    mirrors = swarm.mirrors_of(instance, condition.name)
    for line in (_head(condition, source), *words_of(condition)):
        _say(line, console)
    _say("", console)
    print_table(_versions(mirrors, swarm, now), console)
    _say("", console)
    print_table(_services(condition, now), console)
    parts = {
        "Rolls": list(_rolls(mirrors, swarm)),
        "Marks": list(_marks(condition, mirrors, swarm)),
        "Credentials": lease_words(condition, now),
    }
    for title, lines in parts.items():
        if lines:
            _say(f"\n{title}", console, style="bold")
        for line in lines:
            _say(f"  {line}", console)


def _say(line: str, console: Console, *, style: str = "") -> None:
    console.print(Text(line, style=style), soft_wrap=not console.is_terminal)


def _grid(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=title != "USED BY", overflow="fold")
    return table


def _versions(mirrors: Sequence[Mirror], swarm: SwarmView, now: float) -> Table:
    table = _grid("VERSION", "DOCKER SECRET", "MADE IN VAULT", "MIRRORED", "STANDING", "USED BY")
    for mirror in mirrors:
        users = swarm.services_by_secret.get(mirror.id, ())
        table.add_row(
            f"v{mirror.identity.version}",
            mirror.docker_name,
            mirror.identity.created.partition(".")[0].removesuffix("Z") + "Z",
            f"{age(mirror.created, now)} ago",
            standing(mirror),
            ", ".join(sorted(service.name for service in users)) or "-",
        )
    return table


def standing(mirror: Mirror) -> str:
    """Return what became of a version, in a word or two."""
    if mirror.leased and mirror.leased.ended:
        return "ended"
    if mirror.leased and mirror.leased.retiring:
        return "retiring"
    if mirror.asides:
        return "set aside" if "" in mirror.asides else "set aside in part"
    if mirror.unused:
        return "unused"
    return "good" if mirror.good else "on trial"


def _services(condition: Condition, now: float) -> Table:
    table = _grid("SERVICE", "VERSION", "TASKS", "CHANGED", "STATE", "REASON")
    for service in condition.services:
        version = "-" if service.version is None else f"v{service.version}"
        changed = f"{age(service.changed, now)} ago" if service.changed is not None else "-"
        table.add_row(
            service.name, version, tasks_of(service), changed, service.state, service.reason
        )
    return table


def _rolls(mirrors: Sequence[Mirror], swarm: SwarmView) -> Iterator[str]:
    """Yield the last rolls that are written down, the newest first."""
    found = [
        (record.at, record.done, mirror, swarm.service_by_id[service_id].name)
        for mirror in mirrors
        for service_id, record in mirror.records.items()
        if service_id in swarm.service_by_id
    ]
    for at, done, mirror, name in sorted(found, key=lambda roll: roll[0], reverse=True):
        ended = f"converged and baked {done}" if done else "not finished"
        yield f"v{mirror.identity.version} on {name}: begun {at}, {ended}"


def _marks(condition: Condition, mirrors: Sequence[Mirror], swarm: SwarmView) -> Iterator[str]:
    """Yield what operators and failures have written, with when, who and why."""
    if pause := pause_of(swarm.pauses, condition.name):
        yield pause.text
    if approval := swarm.approvals.get(condition.name):
        why = f": {approval.why}" if approval.why else ""
        yield f"v{approval.version} was approved {approval.at}{why}"
    if wish := swarm.wishes.get(condition.name):
        yield _wish(wish)
    if verdict := swarm.verdicts.get(condition.name):
        version = verdict.identity.version
        yield f"v{version} is refused ({verdict.reason}): {verdict.message}"
    for mirror in mirrors:
        version = mirror.identity.version
        for service_id, mark in mirror.asides.items():
            service = swarm.service_by_id.get(service_id)
            on = f" for {service.name}" if service else ""
            yield f"v{version} is set aside{on} since {mark.at} ({mark.by}): {mark.why}"
        for service_id, block in mirror.blocks.items():
            service = swarm.service_by_id.get(service_id)
            on = service.name if service else service_id
            tries = counted(block.tries, "time")
            yield f"v{version} is blocked on {on} since {block.at}, {tries}: {block.why}"


def _wish(wish: Wish) -> str:
    why = f": {wish.why}" if wish.why else ""
    refused = f"; refused: {wish.refused}" if wish.refused else ""
    return f"`{wish.do}` was asked for at {wish.at}{why}{refused}"


def one_json(condition: Condition, swarm: SwarmView, instance: str) -> dict[str, Any]:
    """Return what ``status NAME --json`` has besides: each version, and its marks."""
    return {
        "version_details": [
            {
                "version": mirror.identity.version,
                "docker_secret": mirror.docker_name,
                "created": mirror.identity.created,
                "standing": standing(mirror),
                "good": mirror.good or None,
                "services": sorted(
                    service.name for service in swarm.services_by_secret.get(mirror.id, ())
                ),
            }
            for mirror in swarm.mirrors_of(instance, condition.name)
        ],
        "marks": list(_marks(condition, swarm.mirrors_of(instance, condition.name), swarm)),
    }
