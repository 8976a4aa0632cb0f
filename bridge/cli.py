"""The command line: reads arguments, calls the loop, prints, and ends with a documented code."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import click
import structlog
from rich.console import Console

from bridge import __version__, logs
from bridge.check import Finding
from bridge.check import check as check_all
from bridge.config import Configuration, load
from bridge.errors import BridgeError, ConfigError, Exit
from bridge.leader import holder_of
from bridge.loop import Loop, Step
from bridge.model.reasons import State
from bridge.observe import look_at_swarm
from bridge.operate import Operator
from bridge.report.policy import NAME, commands, policy_hcl
from bridge.report.render import current_names, override, variables
from bridge.report.status import (
    credential_json,
    exit_code,
    leader_json,
    plan_json,
    print_credential,
    print_finding,
    print_leader,
    print_plan,
    print_status,
    status_json,
)
from bridge.servers.swarm import Swarm

DEFAULT_CONFIG = "/etc/vault-bridge/bridge.yaml"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user said before the command's name."""

    config: str
    verbose: bool

    def load(self, *, apply_fields: bool = False) -> Configuration:
        """Read the configuration. Raises ``ConfigError``."""
        configuration = load(self.config, os.environ)
        desired = replace(configuration.desired, apply_fields=apply_fields)
        configuration = replace(configuration, desired=desired)
        for warning in configuration.warnings:
            structlog.get_logger("bridge").warning("configuration", because=warning)
        return configuration


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vault-bridge")
@click.option(
    "-c",
    "--config",
    envvar="BRIDGE_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The configuration file; $BRIDGE_CONFIG names it too.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_context
def cli(context: click.Context, config: str, *, verbose: bool) -> None:
    """Rotate Docker Swarm secrets from HashiCorp Vault, with no downtime."""
    logs.configure(verbose=verbose)
    context.obj = Options(config, verbose)


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@cli.command()
@click.pass_obj
def run(options: Options) -> None:
    """Run as a service until stopped.

    SIGTERM and SIGINT end it after the action in hand; SIGHUP reads the configuration again.
    """
    log = structlog.get_logger("bridge")
    configuration = options.load()
    log.info(
        "bridge runs",
        version=__version__,
        instance=configuration.desired.instance,
        secrets=len(configuration.desired.secrets),
    )
    while True:
        with _loop(configuration) as loop:
            hangup = _on_hangup(loop)
            loop.run()
        if loop.ended or not hangup:
            break
        try:
            configuration = options.load()
            log.info("configuration read again")
        except ConfigError as error:
            for problem in error.problems:
                log.warning("configuration not taken, the former one stays", because=str(problem))
    log.info("bridge ends")


def _on_hangup(loop: Loop) -> list[int]:
    """Let SIGHUP end a loop so that another follows; the list returned is filled by it."""
    received: list[int] = []

    def on_hangup(number: int, _frame: object) -> None:
        received.append(number)
        loop.interrupt()

    signal.signal(signal.SIGHUP, on_hangup)
    return received


@cli.command()
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds after which it gives up.")
@click.option(
    "--apply-fields",
    is_flag=True,
    help="Roll services whose target, uid, gid or mode changed in the configuration at once.",
)
@_JSON
@click.pass_obj
def sync(options: Options, *, timeout: float | None, apply_fields: bool, as_json: bool) -> None:
    """Run cycles until nothing is left to do, showing each step, then exit."""
    logs.configure(verbose=options.verbose, quiet=True)
    progress = None if as_json else _progress()
    with _loop(options.load(apply_fields=apply_fields)) as loop:
        plan, finished = loop.sync(timeout, progress)
    if as_json:
        _print_json(status_json(plan.conditions) | {"finished": finished})
    else:
        print_status(plan.conditions, _console(), time.time())
        if not finished:
            click.echo("Not finished: something is still on its way.", err=True)
    sys.exit(exit_code(plan) if finished else max(exit_code(plan), Exit.HELD))


@cli.command()
@click.option("--exit-code", "tell", is_flag=True, help="Exit with 10 where there are changes.")
@click.option("--now", is_flag=True, help="Plan as `sync --apply-fields` would act.")
@_JSON
@click.pass_obj
def plan(options: Options, *, tell: bool, now: bool, as_json: bool) -> None:
    """Show what a cycle would do, and what is held and why; change nothing."""
    with _loop(options.load(apply_fields=now)) as loop:
        _, planned = loop.plan()
    if as_json:
        _print_json(plan_json(planned))
    else:
        print_plan(planned, _console())
    if tell and planned.chains:
        sys.exit(Exit.CHANGES)
    sys.exit(exit_code(planned))


@cli.command()
@_JSON
@click.pass_obj
def status(options: Options, *, as_json: bool) -> None:
    """Show how each secret and its services stand."""
    configuration = options.load()
    with _loop(configuration) as loop:
        _, planned = loop.plan()
        ends = loop.credential_end()
    with closing(Swarm(configuration.settings.docker)) as swarm:
        holder = holder_of(swarm, configuration.desired.instance)
    if as_json:
        more = {"leader": leader_json(holder), "credential": credential_json(ends)}
        _print_json(status_json(planned.conditions) | more)
    else:
        print_status(planned.conditions, _console(), time.time())
        print_leader(holder, _console(), time.time())
        print_credential(ends, _console(), time.time())
    sys.exit(exit_code(planned))


@cli.command()
@_JSON
@click.pass_obj
def check(options: Options, *, as_json: bool) -> None:
    """Check the configuration and that Vault and the swarm can be reached."""
    configuration = options.load()
    findings: list[Finding] = []
    for finding in check_all(configuration.desired, configuration.settings, time.time()):
        findings.append(finding)
        if not as_json:
            print_finding(finding.level, finding.where, finding.message, _console())
    if as_json:
        _print_json({"findings": [finding.json() for finding in findings]})
    sys.exit(max(finding.code for finding in findings))


@cli.command()
@_JSON
@click.pass_obj
def policy(options: Options, *, as_json: bool) -> None:
    """Print the least Vault policy for this configuration.

    `vault policy write` takes it as it is; its comments have the commands.
    """
    configuration = options.load()
    auth = configuration.settings.vault.auth
    hcl = policy_hcl(configuration.desired, auth)
    if as_json:
        _print_json({"policies": {NAME: hcl}, "commands": list(commands(auth))})
    else:
        click.echo(hcl, nl=False)


def _compose_version(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"3(\.\d{1,2})?", value):
        raise click.BadParameter("3 or 3.x is needed, as the stack's file has it")
    return value


@cli.command()
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
@_JSON
@click.pass_obj
def render(options: Options, *, env: bool, compose_version: str, as_json: bool) -> None:
    """Print the current Docker secrets' names for `docker stack deploy`.

    An override file for a second -c, or variables for `name: x_v${X_VERSION:?}`. Needs the swarm
    only. Secrets without any version yet are left out, and it ends with code 3.
    """
    configuration = options.load()
    with closing(Swarm(configuration.settings.docker)) as swarm:
        view = look_at_swarm(swarm, configuration.desired.instance, time.time())
    names = current_names(configuration.desired, view)
    if as_json:
        current = {name: mirror.docker_name for name, mirror in names.current.items()}
        _print_json({"secrets": current, "absent": list(names.absent)})
    else:
        click.echo(variables(names) if env else override(names, compose_version), nl=False)
    if names.absent:
        click.echo(
            f"No version of {', '.join(names.absent)} is mirrored yet; `vault-bridge status` says"
            " what it waits for.",
            err=True,
        )
        sys.exit(Exit.HELD)


_REASON = click.option("--reason", default="", help="Why, in your words; it is kept and shown.")
_WAIT = click.option("--wait", is_flag=True, help="Wait until it is carried out.")
_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(min=0), default=600.0, help="Seconds for --wait."
)


def _operate(
    options: Options, name: str, ask: Callable[[Operator], str], wait: bool, timeout: float
) -> None:
    """Write a wish, say so, and follow it where that is asked for."""
    configuration = options.load()
    with closing(Swarm(configuration.settings.docker)) as swarm:
        operator = Operator(swarm, configuration.desired)
        click.echo(ask(operator))
        if wait:
            operator.follow(name, timeout)
            click.echo("Done.")


@cli.command()
@click.argument("name", default="")
@_REASON
@click.pass_obj
def pause(options: Options, *, name: str, reason: str) -> None:
    """Hold the rolls of a secret, or of all.

    Versions are still mirrored and everything is still watched. Needs the swarm only.
    """
    _operate(options, name, lambda operator: operator.pause(name, reason), False, 0)


@cli.command()
@click.argument("name", default="")
@_REASON
@_WAIT
@_TIMEOUT
@click.pass_obj
def resume(options: Options, *, name: str, reason: str, wait: bool, timeout: float) -> None:
    """End a pause, and what an operator set aside by `rollback`; of one secret, or of all."""
    _operate(options, name, lambda operator: operator.resume(name, reason), wait, timeout)


@cli.command()
@click.argument("name")
@click.option("--to", type=click.IntRange(min=1), metavar="N", help="Version; else the one before.")
@_REASON
@_WAIT
@_TIMEOUT
@click.pass_obj
def rollback(
    options: Options, *, name: str, to: int | None, reason: str, wait: bool, timeout: float
) -> None:
    """Let services go back to version N and stay there.

    Until Vault has a version newer than those set aside, or `resume`. Needs the swarm only.
    """
    _operate(options, name, lambda operator: operator.rollback(name, to, reason), wait, timeout)


@cli.command()
@click.argument("name")
@_REASON
@_WAIT
@_TIMEOUT
@click.pass_obj
def retry(options: Options, *, name: str, reason: str, wait: bool, timeout: float) -> None:
    """Try a version again that was set aside because a service failed on it."""
    _operate(options, name, lambda operator: operator.retry(name, reason), wait, timeout)


@cli.command()
@click.argument("name")
@_REASON
@_WAIT
@_TIMEOUT
@click.pass_obj
def approve(options: Options, *, name: str, reason: str, wait: bool, timeout: float) -> None:
    """Let the newest version be rolled though it touches more services than `limits` allow."""
    _operate(options, name, lambda operator: operator.approve(name, reason), wait, timeout)


@cli.command()
@click.argument("name")
@_REASON
@click.pass_obj
def forget(options: Options, *, name: str, reason: str) -> None:
    """Let go of a secret that is no longer in the configuration.

    Its versions go as soon as nothing refers to them.
    """
    _operate(options, name, lambda operator: operator.forget(name, reason), False, 0)


def main() -> NoReturn:
    """Run the command line, and turn every error into a message and a code."""
    try:
        cli(standalone_mode=False)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(error.exit_code)
    except BridgeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except click.Abort:
        sys.exit(Exit.UNEXPECTED)
    except Exception as error:  # noqa: BLE001 - the last resort
        structlog.get_logger("bridge").error("unexpected error", error=logs.where(error))
        sys.exit(Exit.UNEXPECTED)
    sys.exit(Exit.DONE)


@contextmanager
def _loop(configuration: Configuration) -> Iterator[Loop]:
    """Make a loop that SIGTERM and SIGINT end after the action in hand."""
    loop = Loop(configuration)

    def on_signal(*_: object) -> None:
        loop.stop()

    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, on_signal) for number in signals}
    try:
        yield loop
    finally:
        loop.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress() -> Callable[[Step], None]:
    """Print what each cycle did and, once per change, what it waits for."""
    said: dict[str, str] = {}
    leader = ""
    console = _console()

    def show(step: Step) -> None:
        nonlocal leader
        if step.leader != leader:
            leader = step.leader
            who = f"the bridge on {leader} leads, and is followed" if leader else "this one leads"
            console.print(f"Leader: {who}")
        for condition in step.plan.conditions:
            for service in condition.services:
                place = f"{condition.name} on {service.name}"
                line = f"{place}: {service.reason}"
                line += f" ({service.message})" if service.message else ""
                news = said.get(place) != line and (place in said or service.state != State.SYNCED)
                said[place] = line
                if news:
                    console.print(line)
        for outcome in step.outcomes:
            console.print(f"{outcome.action.summary}: {outcome.message or outcome.result}")

    return show


def _console() -> Console:
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), markup=False)


def _print_json(what: dict[str, Any]) -> None:
    click.echo(json.dumps(what, indent=2, ensure_ascii=False))
