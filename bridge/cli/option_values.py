"""The values of options, as people write them; each is a callback of an option."""

from __future__ import annotations

import re

import click

from bridge.keys.durations import duration


def seconds(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """Read seconds, or a duration as the configuration has it; None where it is not given."""
    if value is None:
        return None
    try:
        return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else duration(value)
    except ValueError:
        words = "seconds are needed, or a duration as in 90s or 10m"
        raise click.BadParameter(words) from None


def version(_context: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    """Read a version's number, also as `status` shows it: ``v7``."""
    if value is None:
        return None
    match = re.fullmatch(r"[vV]?([1-9]\d*)", value, re.ASCII)
    if match is None:
        raise click.BadParameter("a version's number is needed, as in 7 or v7")
    return int(match[1])
