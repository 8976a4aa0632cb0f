"""The measures of the code are shown where its checks run, not only where one fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Measure = Callable[[str, float, float], None]

_LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def measure(pytestconfig: pytest.Config) -> Measure:
    """Note what was found for a ceiling; the end of the run shows it."""
    lines = pytestconfig.stash.setdefault(_LINES, [])

    def note(what: str, found: float, ceiling: float) -> None:
        lines.append(f"{found:>5g} of {ceiling:g}  {what}")

    return note


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the measures."""
    lines = config.stash.get(_LINES, [])
    if lines:
        terminalreporter.section("the code's measures")
        for line in sorted(lines):
            terminalreporter.write_line(line)
