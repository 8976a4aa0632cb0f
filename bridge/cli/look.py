"""The commands that look and print what they see; they change nothing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.shared import Options, command, console, open_loop, print_json
from bridge.errors import Exit

if TYPE_CHECKING:
    from bridge.check import Finding
    from bridge.config import Configuration
    from bridge.config.yaml_file import Source as YamlSource
    from bridge.model.plan import Plan
    from bridge.model.source import Source
    from bridge.model.told import Told
    from bridge.model.vault_view import VaultView
    from bridge.model.world import World


@command
@click.option("--exit-code", "tell", is_flag=True, help="Exit with 10 where there are changes.")
@click.option("--now", is_flag=True, help="Plan as `sync --apply-fields` would act.")
@click.option(
    "--vault", "ask_vault", is_flag=True, help="Ask Vault, even where a bridge runs here."
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plan to a file, for `sync --plan FILE`. It contains no value.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown"]),
    default="text",
    help="`markdown` is for a comment on a merge request.",
)
@click.pass_obj
def plan(
    options: Options, *, tell: bool, now: bool, ask_vault: bool, out: Path | None, form: str
) -> None:
    """Show what will be done, and what is held and why; change nothing.

    It also shows the rolls that follow once a version is mirrored. It reads no value, so it counts
    the contents that nobody has verified yet. With `--verbose` it also shows the bridge's own marks
    and renewals, and why each change is made.

    Where a bridge runs here, on this machine or in this container, that bridge tells what it knows
    of Vault; it asks Vault again where that takes no more than 2 s at `vault.max_rps`. Without such
    a bridge, or with `--vault`, the command asks Vault for all paths, which may take long.
    """
    from bridge.cli.written_whole import put
    from bridge.decide.ahead import foresee
    from bridge.model.memory import Memory
    from bridge.model.plan_file import PlanFile
    from bridge.model.timestamps import timestamp
    from bridge.report.exits import exit_code
    from bridge.report.plan_report import plan_json, plan_markdown, print_plan
    from bridge.report.status import print_view, view_json

    if out and now:
        raise click.UsageError("--now and --out exclude each other: apply file fields by `sync`")
    configuration = options.load(apply_fields=now)
    desired, most = configuration.desired, configuration.desired.rollout.max_in_flight
    world, planned, seen = _planned(configuration, ask_vault=ask_vault)
    at = time.time()
    forecast = foresee(desired, world, planned, Memory(), at)
    if out:
        file = PlanFile.of(desired.instance, desired.digest, timestamp(at), forecast.changes)
        put(out, file.write().encode(), 0o600)
    if options.as_json:
        print_json(plan_json(planned, forecast) | {"vault": view_json(seen)})
    elif form == "markdown":
        click.echo(plan_markdown(forecast, max_in_flight=most), nl=False)
    else:
        print_plan(planned, forecast, console(), max_in_flight=most, verbose=options.verbose)
        print_view(seen, console(), at)
        if out:
            click.echo(f"Written to {out}; `vault-bridge sync --plan {out}` carries out this plan.")
    if tell and forecast.changes:
        sys.exit(Exit.CHANGES)
    sys.exit(exit_code(replace(planned, holds=forecast.holds)))


def _planned(configuration: Configuration, *, ask_vault: bool) -> tuple[World, Plan, Told | None]:
    """Plan by what the bridge that runs here knows, or else by what Vault itself answers."""
    from bridge.beside import plan_beside

    found = None if ask_vault else plan_beside(configuration, asking(configuration))
    if found is not None:
        return found
    with open_loop(configuration) as loop:
        return (*loop.plan(), None)


def asking(configuration: Configuration) -> Callable[[Sequence[Source]], VaultView]:
    """Return what asks Vault for some paths, with a login of its own."""

    def ask(sources: Sequence[Source]) -> VaultView:
        from bridge.observe_vault import look_at_vault
        from bridge.servers.vault import Vault
        from bridge.sources.units import Units

        with closing(Vault(configuration.settings.vault)) as vault:
            return look_at_vault(vault, Units(sources), time.time())

    return ask


@command
@click.pass_obj
def health(options: Options) -> None:
    """Report the health of the bridge that runs here; for health checks of containers.

    Exits with 1 where the bridge is stuck or gone, so that a restart helps, else with 0. A bridge
    that waits for Vault or the swarm is healthy: the line that is printed reports what it waits
    for. The command needs no server, and no file but the configuration.
    """
    from bridge.health_socket import ask

    found = ask(options.load().desired.instance)
    if options.as_json:
        print_json({"healthy": found.healthy, "message": found.message})
    else:
        click.echo(f"{'healthy' if found.healthy else 'unhealthy'}: {found.message}")
    sys.exit(Exit.DONE if found.healthy else Exit.UNEXPECTED)


@command
@click.option(
    "--values",
    is_flag=True,
    help="Read each current value once, and judge its fields, template, format and size; none is"
    " shown.",
)
@click.pass_obj
def check(options: Options, *, values: bool) -> None:
    """Check the configuration, and that Vault and the swarm can be reached and grant enough.

    Each finding names what is wrong, where (the line of the configuration, or the service), and
    what to do. Errors come last; the exit code is that of the worst. Without `--values` no value
    is read: whether a field is there is judged by the names of fields, where Vault grants them.
    """
    from bridge.check import check as check_all
    from bridge.config.yaml_file import read
    from bridge.report.finding_report import print_findings

    configuration = options.load()
    found = check_all(configuration.desired, configuration.settings, time.time(), values=values)
    source = read(options.config)
    findings = [_placed(finding, source) for finding in found]
    if options.as_json:
        print_json({"findings": [finding.json() for finding in findings]})
    else:
        print_findings(findings, console())
    sys.exit(max(finding.code for finding in findings))


def _placed(finding: Finding, source: YamlSource) -> Finding:
    """Return a finding with the line of the configuration that it is about."""
    line = source.line_of(finding.where)
    return replace(finding, place=(source.file, line)) if line else finding


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
@click.option("--own", is_flag=True, help="Print the names of the bridge's own Docker configs.")
@click.pass_obj
def render(options: Options, *, env: bool, compose_version: str, own: bool) -> None:
    """Print the current Docker secrets' names for `docker stack deploy`.

    An override file for a second -c, or variables for `name: x_v${X_VERSION:?}`. Needs the swarm
    only. Secrets without any version yet are left out, and it ends with code 3.

    With `--own` it names the Docker configs of the bridge's own stack by what is in the
    configuration and in the `haproxy.cfg` beside it: a Docker config never changes, so another
    content needs another name. That needs no server.
    """
    from bridge.observe_swarm import look_at_swarm
    from bridge.report.render import current_names, override, own_configs, variables
    from bridge.servers.swarm import Swarm

    configuration = options.load()
    if own:
        if env or compose_version:
            raise click.UsageError("--own is a file of its own, with the stack's version")
        file, rules = Path(options.config), Path(options.config).with_name("haproxy.cfg")
        beside = rules.read_bytes() if rules.exists() else None
        text = own_configs(configuration.desired.instance, file.read_bytes(), beside)
        click.echo(text, nl=False)
        return
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
