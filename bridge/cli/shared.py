"""What the commands have in common: their options, a loop that signals end, output."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bridge import logs
from bridge.model.events import Event

if TYPE_CHECKING:
    from rich.console import Console

    from bridge.config import Configuration
    from bridge.loop import Loop
    from bridge.model.cycle_report import CycleReport
    from bridge.pulse import Pulse
    from bridge.servers.vault import Vault

DEFAULT_CONFIG = "/etc/vault-bridge/bridge.yaml"


@dataclass(frozen=True, slots=True)
class Options:
    """What the options of every command say.

    Attributes:
        config: The configuration file.
        as_json: Whether to print JSON, and to log it also on a terminal.
        log_level: ``debug``, ``info``, ``warning`` or ``error``; empty where it is not given.
        log_format: ``json`` or ``text``; empty where it is not given.
    """

    config: str = DEFAULT_CONFIG
    verbose: bool = False
    as_json: bool = False
    log_level: str = ""
    log_format: str = ""

    def log(self, *, quiet: bool = False) -> None:
        """Set the log up as the options say.

        Args:
            quiet: Whether the command shows on a terminal itself what it does.
        """
        level = self.log_level or ("debug" if self.verbose else "")
        form = self.log_format or ("json" if self.as_json else "")
        logs.configure(level=level, form=form, quiet=quiet)

    def load(self, *, apply_fields: bool = False) -> Configuration:
        """Read the configuration. Raises ``ConfigError``."""
        from bridge.config import load
        from bridge.processes import this_host

        configuration = load(self.config, os.environ)
        desired = replace(configuration.desired, apply_fields=apply_fields)
        configuration = replace(configuration, desired=desired)
        logs.identify(desired.instance, this_host())
        for warning in configuration.warnings:
            logs.logger().warning(Event.CONFIGURATION_WARNING, message=warning)
        return configuration


def _take(context: click.Context, option: click.Parameter, value: object) -> None:
    """Keep an option; what stands behind the command's name replaces what stands before it."""
    name, value = str(option.name), "" if value is None else value
    given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    if context.parent is None or given:
        context.obj = replace(context.obj or Options(), **{name: value})


COMMON: tuple[click.Option, ...] = (
    click.Option(
        ["-c", "--config"],
        metavar="FILE",
        envvar="BRIDGE_CONFIG",
        default=DEFAULT_CONFIG,
        show_default=True,
        expose_value=False,
        callback=_take,
        help="The configuration file; $BRIDGE_CONFIG names it too.",
    ),
    click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        expose_value=False,
        callback=_take,
        help="As `--log-level debug`, where no level is given.",
    ),
    click.Option(
        ["--log-level"],
        metavar="LEVEL",
        type=click.Choice(tuple(logs.LEVELS), case_sensitive=False),
        envvar="BRIDGE_LOG_LEVEL",
        expose_value=False,
        callback=_take,
        help="Log this level and above: debug, info (the default), warning or error;"
        " $BRIDGE_LOG_LEVEL sets it too.",
    ),
    click.Option(
        ["--log-format"],
        metavar="FORMAT",
        type=click.Choice(logs.FORMATS, case_sensitive=False),
        envvar="BRIDGE_LOG_FORMAT",
        expose_value=False,
        callback=_take,
        help="Write log lines as json or text; text on a terminal and json elsewhere by default."
        " $BRIDGE_LOG_FORMAT sets it too.",
    ),
    click.Option(
        ["--json", "as_json"],
        is_flag=True,
        expose_value=False,
        callback=_take,
        help="Print JSON; log lines are JSON too, even on a terminal.",
    ),
)
"""The options of every command. They may stand before the command's name or behind it."""


class OptionalValue(click.Option):
    """An option that may stand alone, and takes a value behind ``=`` only.

    click would take the next argument for the value: ``rotate --wait NAME`` must go on to work.

    Args:
        alone: The value where it stands alone.
    """

    def __init__(self, *args: Any, alone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._alone = alone

    def completed(self, argument: str) -> str:
        """Return an argument with the value that it stands for."""
        return f"{argument}={self._alone}" if argument in self.opts else argument


class _Command(click.Command):
    """A command that takes the common options too, and sets the log up as they say.

    Args:
        more: Options behind its own ones.
    """

    def __init__(self, *args: Any, more: tuple[click.Option, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += (*more, *COMMON)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for option in self.params:
            if isinstance(option, OptionalValue):
                args = [option.completed(argument) for argument in args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        options: Options = ctx.obj
        options.log()
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, and those that every command has below them."""
        options = (p for p in self.get_params(ctx) if isinstance(p, click.Option))
        own = [option for option in options if option not in COMMON]
        for title, part in (("Options", own), ("Options of every command", COMMON)):
            with formatter.section(title):
                records = (option.get_help_record(ctx) for option in part)
                formatter.write_dl([record for record in records if record])


def command(function: Callable[..., None], *more: click.Option) -> click.Command:
    """Make a command of a function; ``more`` are options that it has in common with others."""
    return click.command(cls=_Command, more=more)(function)


@contextmanager
def open_loop(
    configuration: Configuration,
    vault: Vault | None = None,
    pulse: Pulse | None = None,
    publish: Callable[[CycleReport], object] | None = None,
) -> Iterator[Loop]:
    """Make a loop that SIGTERM and SIGINT end after the action in hand.

    Args:
        vault: A session to go on with, which outlives the loop.
        pulse: Where it tells that its cycles go on.
        publish: Gets a report of each cycle.
    """
    from bridge.loop import Loop

    loop = Loop(configuration, vault=vault, pulse=pulse, publish=publish)

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


def console() -> Console:
    """Return where people read: lines are not cut where no terminal is."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), markup=False)


def print_json(what: dict[str, Any]) -> None:
    """Print for programs."""
    click.echo(json.dumps(what, indent=2, ensure_ascii=False))
