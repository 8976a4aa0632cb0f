"""Findings of ``check`` as people and programs read them: what is wrong, where, and what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from bridge.model.findings import Finding, Level
from bridge.report.rows import counted

_STYLES = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.ERROR: "bold red"}

_WIDTH = 9
"""Letters of the column with the level."""

_PIECE = re.compile(r"(?:[^\s`]*`[^`]*`[^\s`]*)+|\S+")
"""What is not broken at the end of a line: a word, or a command between backticks."""


def print_findings(findings: Iterable[Finding], console: Console) -> None:
    """Print findings, those without trouble first and errors last, and how many there are.

    Lines are wrapped on a terminal only. What is to be copied, such as a policy's line, stands by
    itself and is never wrapped, and no command between backticks is broken.
    """
    findings = sorted(findings, key=lambda finding: list(Level).index(finding.level))
    for finding in findings:
        head, *verbatim = finding.message.split("\n")
        place = (
            "{}:{}: ".format(*finding.place) if finding.place and finding.level != Level.OK else ""
        )
        words = f"{place}{finding.where}: {head}"
        first, *rest = _wrapped(words, console.width - _WIDTH) if console.is_terminal else [words]
        level = (f"{finding.level:<{_WIDTH}}", _STYLES[finding.level])
        _print(Text.assemble(level, first), console)
        for each in rest:
            _print(Text(f"{'':<{_WIDTH}}{each}"), console)
        for each in verbatim:
            _print(Text(each.strip()), console)
    _print(Text(f"\n{in_sum(findings)}", style="bold"), console)


def _print(line: Text, console: Console) -> None:
    console.print(line, soft_wrap=True)


def in_sum(findings: Iterable[Finding]) -> str:
    """Return how many findings there are of each level that somebody should know of."""
    counts = Counter(finding.level for finding in findings)
    told = [counted(counts[level], level) for level in (Level.ERROR, Level.WARNING, Level.NOTE)]
    found = [words for words in told if not words.startswith("0 ")]
    if not counts[Level.ERROR] and not counts[Level.WARNING]:
        return ", ".join(["No errors and no warnings", *found]) + "."
    return ", ".join(found) + "."


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Yield lines of at most this width, as far as what must not be broken allows."""
    line = ""
    for piece in _PIECE.findall(text):
        if line and len(line) + 1 + len(piece) > width:
            yield line
            line = ""
        line = f"{line} {piece}" if line else piece
    yield line
