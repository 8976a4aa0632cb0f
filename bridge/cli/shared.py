"""What the commands have in common: the configuration, a loop that signals end, output."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click
import structlog
from rich.console import Console

from bridge.config import Configuration, load
from bridge.loop import Loop
from bridge.servers.vault import Vault

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


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


@contextmanager
def open_loop(configuration: Configuration, vault: Vault | None = None) -> Iterator[Loop]:
    """Make a loop that SIGTERM and SIGINT end after the action in hand.

    Args:
        vault: A session to go on with, which outlives the loop.
    """
    loop = Loop(configuration, vault=vault)

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
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), markup=False)


def print_json(what: dict[str, Any]) -> None:
    """Print for programs."""
    click.echo(json.dumps(what, indent=2, ensure_ascii=False))
