"""The command that shows how each secret stands: all of them as a table, or one whole."""

from __future__ import annotations

import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from bridge.cli.look import asking
from bridge.cli.shared import Options, command, console, open_loop, print_json
from bridge.errors import Exit

if TYPE_CHECKING:
    from bridge.config import Configuration
    from bridge.model.conditions import Condition
    from bridge.model.desired import Desired
    from bridge.model.leadership import Holder
    from bridge.model.plan import Plan
    from bridge.model.swarm_view import SwarmView
    from bridge.model.told import Told

REFRESH = 2.0
"""Seconds between two tables of `status --watch`."""


@command
@click.argument("name", metavar="[NAME]", default="")
@click.option("--vault", "ask_vault", is_flag=True, help="Ask Vault, even where a bridge leads.")
@click.option(
    "--wide",
    is_flag=True,
    help="Show also the versions that are kept, and when Vault made the one in use.",
)
@click.option("--watch", is_flag=True, help="Refresh every 2 s, until interrupted.")
@click.pass_obj
def status(options: Options, *, name: str, ask_vault: bool, wide: bool, watch: bool) -> None:
    """Show how each secret and its services stand; with NAME, one secret in full.

    What needs somebody comes first, with what to do about it below the table. TASKS counts the
    tasks that run with what the service refers to, of those that it should have; CHANGED is how
    long ago the last roll, mark or new version was. With NAME it shows each version, when Vault
    made it and which services have it, the rolls, and the marks with who set them and why.

    Where a bridge leads, the command needs only the swarm. Leased credentials are an exception:
    it asks the bridge that runs here, else Vault, how long their leases last. Without `--vault` it
    does not ask Vault where that would take more than 2 s at `vault.max_rps`, and with `--watch`
    never.
    """
    if watch and (options.as_json or ask_vault):
        raise click.UsageError(
            "--watch shows the swarm's side on a terminal: no --json, no --vault"
        )
    if not watch:
        seen = _look(options.load(), ask_vault=ask_vault)
        if options.as_json:
            _print_json(seen, name)
        else:
            _print(seen, name, wide=wide)
        sys.exit(_code(seen, name))
    with suppress(KeyboardInterrupt):
        while True:
            seen = _look(options.load(), only_swarm=True)
            if sys.stdout.isatty():
                click.clear()
            _print(seen, name, wide=wide)
            time.sleep(REFRESH)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look is about."""

    desired: Desired
    view: SwarmView
    holder: Holder | None
    shown: _Shown
    now: float

    def one(self, name: str) -> Condition:
        """Return the condition of one secret. Raises ``click.UsageError`` where there is none."""
        from bridge.model.near import nearest

        found = {condition.name: condition for condition in self.shown.plan.conditions}
        if name in found:
            return found[name]
        meant = nearest(name, found)
        hint = f"did you mean {meant}?" if meant else "`vault-bridge status` lists them all"
        raise click.UsageError(f"there is no secret {name}: {hint}")


def _look(
    configuration: Configuration, *, ask_vault: bool = False, only_swarm: bool = False
) -> _Seen:
    from bridge.beside import PATIENCE
    from bridge.leader_lease import holder_of
    from bridge.observe_swarm import look_at_swarm
    from bridge.servers.swarm import Swarm

    desired, now = configuration.desired, time.time()
    with closing(Swarm(configuration.settings.docker)) as swarm:
        holder = holder_of(swarm, desired.instance)
        leading = holder if holder and holder.leads(now) and holder.goes_by(desired) else None
        slow = len(desired.sources) > PATIENCE * configuration.settings.vault.max_rps or only_swarm
        view = look_at_swarm(swarm, desired.instance, now)
        inferred = _without_vault(view, desired, leading, now) if leading or slow else None
    shown = _shown(configuration, inferred, ask_vault=ask_vault, slow=slow)
    return _Seen(desired, view, holder, shown, now)


def _code(seen: _Seen, name: str) -> Exit:
    from bridge.report.exits import exit_code

    plan = seen.shown.plan
    if name:
        holds = tuple(hold for hold in plan.holds if hold.secret in ("", name))
        plan = replace(plan, holds=holds, conditions=(seen.one(name),))
    return exit_code(plan)


def _print_json(seen: _Seen, name: str) -> None:
    from bridge.report.one_secret import one_json
    from bridge.report.status import credential_json, leader_json, status_json, view_json

    shown = seen.shown
    more = {"leader": leader_json(seen.holder), "credential": credential_json(shown.ends)}
    vault = {"vault_asked": shown.asked, "vault": view_json(shown.told, asked=shown.asked)}
    if not name:
        print_json(status_json(shown.plan.conditions) | more | vault)
        return
    condition = seen.one(name)
    secrets = status_json([condition])
    secrets["secrets"][0] |= one_json(condition, seen.view, seen.desired.instance)
    print_json(secrets | more | vault)


def _print(seen: _Seen, name: str, *, wide: bool) -> None:
    from bridge.report.one_secret import print_one
    from bridge.report.status import print_credential, print_leader, print_status, print_view

    shown, now, out = seen.shown, seen.now, console()
    conditions = shown.plan.conditions
    if name:
        sources = {secret.name: str(secret.source) for secret in seen.desired.secrets}
        source, instance = sources.get(name, ""), seen.desired.instance
        print_one(seen.one(name), seen.view, instance, out, now, source=source)
    else:
        print_status(conditions, out, now, wide=wide)
    leased = any(not lease.static for c in conditions for lease in c.leases)
    asked = shown.asked or shown.told is not None
    print_leader(seen.holder, out, now, leased=leased, asked=asked)
    print_view(shown.told, out, now, command="status")
    print_credential(shown.ends, out, now)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What ``status`` shows.

    Attributes:
        told: What of Vault a bridge that runs here told, where one did.
        asked: Whether Vault was asked.
        ends: When our own credential for Vault ends, where it was asked and tells.
    """

    plan: Plan
    told: Told | None = None
    asked: bool = False
    ends: float | None = None


def _shown(
    configuration: Configuration, inferred: Plan | None, *, ask_vault: bool, slow: bool
) -> _Shown:
    """Return what the swarm shows where that is enough, else what a bridge or Vault tells too.

    Args:
        inferred: What the swarm shows; None where no bridge leads, so that it tells too little.
        ask_vault: Ask Vault, whatever that takes.
        slow: Whether to ask Vault takes too long, unless it is asked for.
    """
    from bridge.beside import plan_beside

    leases = _has_leases(configuration.desired)
    if inferred and not (ask_vault or leases):
        return _Shown(inferred)
    beside = None if ask_vault else plan_beside(configuration, asking(configuration))
    if beside:
        return _Shown(*beside[1:])
    if inferred and slow and not ask_vault:
        return _Shown(inferred)
    planned, ends = _with_vault(configuration, None if ask_vault else inferred)
    return _Shown(planned, asked=planned is not inferred, ends=ends)


def _has_leases(desired: Desired) -> bool:
    """Return whether there are leases, of which Vault alone knows how long they last."""
    return any(secret.leased or secret.content.lease for secret in desired.secrets)


def _without_vault(view: SwarmView, desired: Desired, leading: Holder | None, now: float) -> Plan:
    """Plan by what the swarm alone shows. When leases end is not known then, so none is shown.

    Args:
        leading: The bridge that leads and goes by this configuration, where there is one: what it
            cannot use of Vault is shown too.
    """
    from bridge.decide.cycle import decide
    from bridge.decide.inferred import infer_vault
    from bridge.model.memory import Memory
    from bridge.model.world import World

    vault = infer_vault(desired, view, now, leading.seen if leading else None)
    planned = decide(desired, World(vault, view), Memory(), now)
    conditions = tuple(replace(condition, leases=()) for condition in planned.conditions)
    return replace(planned, conditions=conditions)


def _with_vault(configuration: Configuration, otherwise: Plan | None) -> tuple[Plan, float | None]:
    """Plan by what both servers show; returns also when our own credential for Vault ends.

    Args:
        otherwise: What to show where Vault refuses our own login: the bridge that leads has one of
            its own, which may well be taken.
    """
    with open_loop(configuration) as loop:
        world, planned = loop.plan()
        ends = loop.credential_end()
    if otherwise is not None and world.vault.login_refused:
        return otherwise, ends
    return planned, ends
