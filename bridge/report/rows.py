"""Lines with a mark, a name and words: columns on a terminal, one line each where piped."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDEST = 40
"""Letters of a name beyond which it does not widen the column of all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line.

    Attributes:
        mark: One or two letters before the name.
        style: Colour of the mark and the name.
    """

    mark: str
    name: str
    words: str
    style: str = ""


def print_rows(rows: Iterable[Row], console: Console) -> None:
    """Print lines below each other; what is piped is neither wrapped nor cut."""
    rows = list(rows)
    if not rows:
        return
    width = max(len(row.name) for row in rows if len(row.name) <= _WIDEST or row is rows[0])
    width = min(width, _WIDEST)
    if not console.is_terminal:
        for row in rows:
            line = f"  {row.mark} {row.name:<{width}}  {row.words}"
            console.print(Text(line.rstrip()), soft_wrap=True)
        return
    table = Table.grid()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=_WIDEST)
    table.add_column(overflow="fold")
    for row in rows:
        mark = Text(f"  {row.mark} ", style=row.style)
        table.add_row(mark, Text(f"{row.name}  ", style=row.style), Text(row.words))
    console.print(table)


def print_table(table: Table, console: Console) -> None:
    """Print a table; what is piped is neither wrapped, cut nor padded at its right."""
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(file=io.StringIO(), width=_PIPED, highlight=False, markup=False)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)


_PIPED = 10_000
"""Columns that no line of a table has."""


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 service``, ``2 services``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
