"""The commands that look and print what they see; they change nothing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from bridge.cli.shared import Options, command, console, open_loop, print_json
from bridge.errors import Exit

if TYPE_CHECKING:
    from bridge.config import Configuration
    from bridge.model.desired import Desired
    from bridge.model.leadership import Holder
    from bridge.model.plan import Plan
    from bridge.model.source import Source
    from bridge.model.told import Told
    from bridge.model.vault_view import VaultView
    from bridge.servers.swarm import Swarm


@command
@click.option("--exit-code", "tell", is_flag=True, help="Exit with 10 where there are changes.")
@click.option("--now", is_flag=True, help="Plan as `sync --apply-fields` would act.")
@click.option(
    "--vault", "ask_vault", is_flag=True, help="Ask Vault, even where a bridge runs here."
)
@click.pass_obj
def plan(options: Options, *, tell: bool, now: bool, ask_vault: bool) -> None:
    """Show what a cycle would do, and what is held and why; change nothing.

    A bridge that runs here, on this machine or in this container, is asked what it knows of Vault.
    It asks Vault anew where that takes no more than 2 s at `vault.max_rps`. Without such a bridge,
    or with `--vault`, all paths are asked for, which may take long.
    """
    from bridge.report.status import exit_code, plan_json, print_plan, print_view, view_json

    planned, seen = _planned(options.load(apply_fields=now), ask_vault=ask_vault)
    if options.as_json:
        print_json(plan_json(planned) | {"vault": view_json(seen)})
    else:
        print_plan(planned, console())
        print_view(seen, console(), time.time())
    if tell and planned.chains:
        sys.exit(Exit.CHANGES)
    sys.exit(exit_code(planned))


def _planned(configuration: Configuration, *, ask_vault: bool) -> tuple[Plan, Told | None]:
    """Plan by what the bridge that runs here knows, or else by what Vault itself answers."""
    from bridge.beside import plan_beside

    found = None if ask_vault else plan_beside(configuration, _asking(configuration))
    if found is not None:
        return found
    with open_loop(configuration) as loop:
        return loop.plan()[1], None


def _asking(configuration: Configuration) -> Callable[[Sequence[Source]], VaultView]:
    """Return what asks Vault for some paths, with a login of its own."""

    def ask(sources: Sequence[Source]) -> VaultView:
        from bridge.observe_vault import look_at_vault
        from bridge.servers.vault import Vault
        from bridge.sources.units import Units

        with closing(Vault(configuration.settings.vault)) as vault:
            return look_at_vault(vault, Units(sources), time.time())

    return ask


@command
@click.option("--vault", "ask_vault", is_flag=True, help="Ask Vault, even where a bridge leads.")
@click.pass_obj
def status(options: Options, *, ask_vault: bool) -> None:
    """Show how each secret and its services stand.

    Where a bridge leads, the swarm answers and Vault is not asked, unless the configuration has
    leased credentials: how long their leases last is asked of the bridge that runs here, else of
    Vault. Nor is Vault asked without `--vault` where that would take more than 2 s at
    `vault.max_rps`.
    """
    from bridge.beside import PATIENCE
    from bridge.leader_lease import holder_of
    from bridge.report.status import (
        credential_json,
        exit_code,
        leader_json,
        print_credential,
        print_leader,
        print_status,
        print_view,
        status_json,
        view_json,
    )
    from bridge.servers.swarm import Swarm

    configuration = options.load()
    desired, now = configuration.desired, time.time()
    with closing(Swarm(configuration.settings.docker)) as swarm:
        holder = holder_of(swarm, desired.instance)
        leading = holder if holder and holder.leads(now) and holder.goes_by(desired) else None
        slow = len(desired.sources) > PATIENCE * configuration.settings.vault.max_rps
        inferred = _without_vault(swarm, desired, leading, now) if leading or slow else None
    shown = _shown(configuration, inferred, ask_vault=ask_vault, slow=slow)
    conditions = shown.plan.conditions
    if options.as_json:
        more = {"leader": leader_json(holder), "credential": credential_json(shown.ends)}
        vault = {"vault_asked": shown.asked, "vault": view_json(shown.told, asked=shown.asked)}
        print_json(status_json(conditions) | more | vault)
    else:
        print_status(conditions, console(), now)
        leased = any(not lease.static for c in conditions for lease in c.leases)
        asked = shown.asked or shown.told is not None
        print_leader(holder, console(), now, leased=leased, asked=asked)
        print_view(shown.told, console(), now, command="status")
        print_credential(shown.ends, console(), now)
    sys.exit(exit_code(shown.plan))


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
    beside = None if ask_vault else plan_beside(configuration, _asking(configuration))
    if beside:
        return _Shown(*beside)
    if inferred and slow and not ask_vault:
        return _Shown(inferred)
    planned, ends = _with_vault(configuration, None if ask_vault else inferred)
    return _Shown(planned, asked=planned is not inferred, ends=ends)


def _has_leases(desired: Desired) -> bool:
    """Return whether there are leases, of which Vault alone knows how long they last."""
    return any(secret.leased or secret.content.lease for secret in desired.secrets)


def _without_vault(swarm: Swarm, desired: Desired, leading: Holder | None, now: float) -> Plan:
    """Plan by what the swarm alone shows. When leases end is not known then, so none is shown.

    Args:
        leading: The bridge that leads and goes by this configuration, where there is one: what it
            cannot use of Vault is shown too.
    """
    from bridge.decide.cycle import decide
    from bridge.decide.inferred import infer_vault
    from bridge.model.memory import Memory
    from bridge.model.world import World
    from bridge.observe_swarm import look_at_swarm

    view = look_at_swarm(swarm, desired.instance, now)
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


@command
@click.pass_obj
def health(options: Options) -> None:
    """Ask the bridge that runs here how it is; for health checks of containers.

    Ends with 0, or with 1 where the bridge is stuck or gone, so that a restart helps. A server that
    is away is waited for, and is no illness: the line that is printed says so. It needs no server
    and no file but the configuration.
    """
    from bridge.health_socket import ask

    found = ask(options.load().desired.instance)
    if options.as_json:
        print_json({"healthy": found.healthy, "message": found.message})
    else:
        click.echo(f"{'healthy' if found.healthy else 'unhealthy'}: {found.message}")
    sys.exit(Exit.DONE if found.healthy else Exit.UNEXPECTED)


@command
@click.pass_obj
def check(options: Options) -> None:
    """Check the configuration and that Vault and the swarm can be reached."""
    from bridge.check import Finding
    from bridge.check import check as check_all
    from bridge.report.status import print_finding

    configuration = options.load()
    findings: list[Finding] = []
    for finding in check_all(configuration.desired, configuration.settings, time.time()):
        findings.append(finding)
        if not options.as_json:
            print_finding(finding.level, finding.where, finding.message, console())
    if options.as_json:
        print_json({"findings": [finding.json() for finding in findings]})
    sys.exit(max(finding.code for finding in findings))


@command
@click.option("--custody", is_flag=True, help="Print the policy of custody tokens instead.")
@click.option("--pipeline", is_flag=True, help="Print that of a pipeline that writes leases to KV.")
@click.option("--commands", "only", is_flag=True, help="Print the commands that put it in place.")
@click.option(
    "--engine", is_flag=True, help="Print what a proxy before the engine lets through, for HAProxy."
)
@click.pass_obj
def policy(options: Options, *, custody: bool, pipeline: bool, only: bool, engine: bool) -> None:
    """Print the least Vault policy for this configuration.

    `vault policy write` takes it as it is; its comments have the commands. Lines that are marked
    optional may be left out. Leased credentials need a second one, for the tokens that hold their
    leases, and a pipeline that writes such credentials into KV one of its own. With `--engine` it
    prints the least that the engine must grant: that is the same for every configuration, and none
    is read.
    """
    from bridge.report import engine_policy
    from bridge.report import policy as written

    if engine:
        if options.as_json:
            print_json({"engine": engine_policy.rights_json()})
        else:
            click.echo(engine_policy.haproxy(), nl=False)
        return
    configuration = options.load()
    desired, vault = configuration.desired, configuration.settings.vault
    printed = {
        written.NAME: written.policy_hcl(desired, vault),
        written.CUSTODY_NAME: written.custody_hcl(desired, vault),
        written.PIPELINE_NAME: written.pipeline_hcl(desired, vault),
    }
    chosen = written.NAME
    if custody or pipeline:
        chosen = written.CUSTODY_NAME if custody else written.PIPELINE_NAME
    if options.as_json:
        policies = {name: hcl for name, hcl in printed.items() if hcl}
        print_json({"policies": policies, "commands": list(written.commands(desired, vault))})
    elif only:
        click.echo("\n".join(written.commands(desired, vault)))
    elif not printed[chosen]:
        what = "custody tokens" if custody else "pipeline with custody tokens that writes leases"
        raise click.UsageError(f"this configuration has no {what}: it needs no such policy")
    else:
        click.echo(printed[chosen], nl=False)


def _compose_version(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"3(\.\d{1,2})?", value):
        raise click.BadParameter("3 or 3.x is needed, as the stack's file has it")
    return value


@command
@click.option(
    "--env", is_flag=True, help="Print NAME_VERSION=N variables rather than an override file."
)
@click.option(
    "--compose-version",
    metavar="3.x",
    default="",
    callback=_compose_version,
    help="`version`, as the stack's file has it.",
)
@click.pass_obj
def render(options: Options, *, env: bool, compose_version: str) -> None:
    """Print the current Docker secrets' names for `docker stack deploy`.

    An override file for a second -c, or variables for `name: x_v${X_VERSION:?}`. Needs the swarm
    only. Secrets without any version yet are left out, and it ends with code 3.
    """
    from bridge.observe_swarm import look_at_swarm
    from bridge.report.render import current_names, override, variables
    from bridge.servers.swarm import Swarm

    configuration = options.load()
    with closing(Swarm(configuration.settings.docker)) as swarm:
        view = look_at_swarm(swarm, configuration.desired.instance, time.time())
    names = current_names(configuration.desired, view)
    if options.as_json:
        current = {name: mirror.docker_name for name, mirror in names.current.items()}
        print_json({"secrets": current, "absent": list(names.absent)})
    else:
        click.echo(variables(names) if env else override(names, compose_version), nl=False)
    if names.absent:
        click.echo(
            f"No version of {', '.join(names.absent)} is mirrored yet; `vault-bridge status` says"
            " what it waits for.",
            err=True,
        )
        sys.exit(Exit.HELD)
