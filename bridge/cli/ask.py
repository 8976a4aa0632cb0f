"""The commands of operators: each writes a wish, and needs Docker only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.option_values import seconds, version
from bridge.cli.shared import OptionalValue, Options, command, print_json
from bridge.model.until import Until

if TYPE_CHECKING:
    from bridge.operate import Operator

_REASON = click.Option(["--reason"], default="", help="Why, in your words; it is stored and shown.")
_WAIT = click.Option(["--wait"], is_flag=True, help="Wait until it is carried out.")
_WAIT_UNTIL = OptionalValue(
    ["--wait"],
    alone=Until.ROLLED.value,
    type=click.Choice([until.value for until in Until]),
    metavar="[=rolled|ended]",
    help="Wait until services are rolled; `=ended`: until the former credential has ended too.",
)
_TIMEOUT = click.Option(
    ["--timeout"],
    metavar="DURATION",
    default="10m",
    show_default=True,
    callback=seconds,
    help="How long --wait waits at most.",
)


def _wish(wait: click.Option | None = _WAIT) -> Callable[[Callable[..., str]], click.Command]:
    """Make a command of a function that writes a wish about the secret ``name``.

    The function gets the operator and, by name, the command's arguments and ``reason``. It returns
    in words what was asked for, which the command prints before it waits.

    Args:
        wait: The option that lets the command wait; None where nothing can be waited for.
    """
    options = (_REASON, wait, _TIMEOUT) if wait else (_REASON,)

    def made(ask: Callable[..., str]) -> click.Command:
        return command(_asking(ask), *options)

    return made


def _asking(ask: Callable[..., str]) -> Callable[..., None]:
    """Return a function that writes the wish, reports it, and follows it with ``--wait``."""

    def write(
        options: Options, /, *, wait: str | bool | None = None, timeout: float = 0, **given: Any
    ) -> None:
        from bridge.operate import Operator
        from bridge.processes import this_account
        from bridge.servers.swarm import Swarm

        configuration = options.load()
        with closing(Swarm(configuration.settings.docker)) as swarm:
            operator = Operator(swarm, configuration.desired, by=this_account())
            asked = ask(operator, **given)
            if not options.as_json:
                click.echo(asked)
            done = False
            try:
                if wait:
                    until = Until(wait) if isinstance(wait, str) else Until.ROLLED
                    tell = _quiet if options.as_json else click.echo
                    operator.follow(given["name"], timeout, until=until, tell=tell)
                    done = True
            finally:
                if options.as_json:
                    print_json({"asked": asked, "done": done})
                elif done:
                    click.echo("Done.")

    return update_wrapper(click.pass_obj(write), ask)


def _quiet(_text: str) -> None:
    """Print nothing: what a program reads is one document."""


@_wish(wait=None)
@click.argument("name", default="")
def pause(operator: Operator, *, name: str, reason: str) -> str:
    """Hold the rolls of a secret, or of all.

    Versions are still mirrored and everything is still watched. Needs the swarm only.
    """
    return operator.pause(name, reason)


@_wish()
@click.argument("name", default="")
def resume(operator: Operator, *, name: str, reason: str) -> str:
    """End the pause and the `rollback` of a secret, or of all."""
    return operator.resume(name, reason)


@_wish()
@click.argument("name")
@click.option(
    "--to", metavar="N", callback=version, help="Version to go back to. Default: the one before."
)
def rollback(operator: Operator, *, name: str, to: int | None, reason: str) -> str:
    """Roll services back to version N, and keep them there.

    They stay there until Vault has a version newer than those set aside, or until `resume`. Needs
    the swarm only.
    """
    return operator.rollback(name, to, reason)


@_wish()
@click.argument("name")
def retry(operator: Operator, *, name: str, reason: str) -> str:
    """Retry a version that a service failed on, or at once one whose roll is blocked."""
    return operator.retry(name, reason)


@_wish(wait=_WAIT_UNTIL)
@click.argument("name")
@click.option("--now", is_flag=True, help="End the former credential without its grace.")
@click.option("--revoke-first", is_flag=True, help="End it before services leave it.")
def rotate(operator: Operator, *, name: str, now: bool, revoke_first: bool, reason: str) -> str:
    """Make a new generation of a leased credential and roll its services to it.

    The former credential ends once no task uses it. Needs the swarm only.
    """
    return operator.rotate(name, reason, at_once=now, first=revoke_first)


@_wish()
@click.argument("name")
def resync(operator: Operator, *, name: str, reason: str) -> str:
    """Make the current version anew, with `format`, `template` and the like as now, and roll it.

    A version that was made with the same settings stays as it is. Needs the swarm only.
    """
    return operator.resync(name, reason)


@_wish()
@click.argument("name")
def approve(operator: Operator, *, name: str, reason: str) -> str:
    """Allow the newest version to be rolled to more services than `limits.max_services`."""
    return operator.approve(name, reason)


@_wish(wait=None)
@click.argument("name")
def forget(operator: Operator, *, name: str, reason: str) -> str:
    """Remove the versions of a secret that is no longer in the configuration.

    Each is removed as soon as nothing refers to it.
    """
    return operator.forget(name, reason)
