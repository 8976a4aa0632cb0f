"""The commands of operators: each writes a wish, and needs Docker only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import click

from bridge.cli.shared import OptionalValue, Options, command, print_json
from bridge.cli.values import seconds, version
from bridge.operate import Operator, Until
from bridge.servers.swarm import Swarm

_REASON = click.option("--reason", default="", help="Why, in your words; it is kept and shown.")
_WAIT = click.option("--wait", is_flag=True, help="Wait until it is carried out.")
_TIMEOUT = click.option(
    "--timeout",
    metavar="DURATION",
    default="10m",
    show_default=True,
    callback=seconds,
    help="How long --wait waits at most.",
)


def _operate(
    options: Options,
    name: str,
    ask: Callable[[Operator], str],
    wait: Until | bool | None,
    timeout: float,
) -> None:
    """Write a wish, report it, and follow it where that is asked for."""
    configuration = options.load()
    with closing(Swarm(configuration.settings.docker)) as swarm:
        operator = Operator(swarm, configuration.desired)
        asked = ask(operator)
        if not options.as_json:
            click.echo(asked)
        done = False
        try:
            if wait:
                until = wait if isinstance(wait, Until) else Until.ROLLED
                operator.follow(name, timeout, until, _quiet if options.as_json else click.echo)
                done = True
        finally:
            if options.as_json:
                print_json({"asked": asked, "done": done})
            elif done:
                click.echo("Done.")


def _quiet(_text: str) -> None:
    """Print nothing: what a program reads is one document."""


@command
@click.argument("name", default="")
@_REASON
@click.pass_obj
def pause(options: Options, *, name: str, reason: str) -> None:
    """Hold the rolls of a secret, or of all.

    Versions are still mirrored and everything is still watched. Needs the swarm only.
    """
    _operate(options, name, lambda operator: operator.pause(name, reason), False, 0)


@command
@click.argument("name", default="")
@_REASON
@_WAIT
@_TIMEOUT
@click.pass_obj
def resume(options: Options, *, name: str, reason: str, wait: bool, timeout: float) -> None:
    """End a pause, and what an operator set aside by `rollback`; of one secret, or of all."""
    _operate(options, name, lambda operator: operator.resume(name, reason), wait, timeout)


@command
@click.argument("name")
@click.option("--to", metavar="N", callback=version, help="Version; else the one before.")
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


@command
@click.argument("name")
@_REASON
@_WAIT
@_TIMEOUT
@click.pass_obj
def retry(options: Options, *, name: str, reason: str, wait: bool, timeout: float) -> None:
    """Try a version again that a service failed on, or at once one whose roll is blocked."""
    _operate(options, name, lambda operator: operator.retry(name, reason), wait, timeout)


@command
@click.argument("name")
@click.option("--now", is_flag=True, help="End the former credential without its grace.")
@click.option("--revoke-first", is_flag=True, help="End it before services leave it.")
@_REASON
@click.option(
    "--wait",
    cls=OptionalValue,
    alone=Until.ROLLED.value,
    type=click.Choice([until.value for until in Until]),
    metavar="[=rolled|ended]",
    help="Wait until services are rolled; with `=ended`, until the former credential is over too.",
)
@_TIMEOUT
@click.pass_obj
def rotate(
    options: Options,
    *,
    name: str,
    now: bool,
    revoke_first: bool,
    reason: str,
    wait: str | None,
    timeout: float,
) -> None:
    """Make a new generation of a leased credential and roll its services to it.

    The former credential ends once no task uses it. Needs the swarm only.
    """

    def ask(operator: Operator) -> str:
        return operator.rotate(name, reason, at_once=now, first=revoke_first)

    _operate(options, name, ask, Until(wait) if wait else None, timeout)


@command
@click.argument("name")
@_REASON
@_WAIT
@_TIMEOUT
@click.pass_obj
def resync(options: Options, *, name: str, reason: str, wait: bool, timeout: float) -> None:
    """Make the current version anew, as `format`, `template` and the like are now, and roll it.

    What was made with the same already stays as it is. Needs the swarm only.
    """
    _operate(options, name, lambda operator: operator.resync(name, reason), wait, timeout)


@command
@click.argument("name")
@_REASON
@_WAIT
@_TIMEOUT
@click.pass_obj
def approve(options: Options, *, name: str, reason: str, wait: bool, timeout: float) -> None:
    """Let the newest version be rolled though it touches more services than `limits` allow."""
    _operate(options, name, lambda operator: operator.approve(name, reason), wait, timeout)


@command
@click.argument("name")
@_REASON
@click.pass_obj
def forget(options: Options, *, name: str, reason: str) -> None:
    """Let go of a secret that is no longer in the configuration.

    Its versions go as soon as nothing refers to them.
    """
    _operate(options, name, lambda operator: operator.forget(name, reason), False, 0)
