"""Do the core's own unit tests take the branches of its decisions?

Run after them, by ``make house``. Branches count, not lines: a condition that no test sees both
ways is a rule that no test holds, also where all its lines are run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

LEAST = 95
"""Percent."""


def main() -> int:
    """Show what no test takes, by file; return 1 where it is too much."""
    print(_coverage("report", "--skip-covered", "--show-missing"))
    totals: dict[str, Any] = json.loads(_coverage("json", "-q", "-o", "-"))["totals"]
    taken, there = totals["covered_branches"], totals["num_branches"]
    percent = 100 * taken / there if there else 0
    print(f"{taken} of {there} branches are taken: {percent:.1f} %, at least {LEAST} are wanted")
    if percent < LEAST:
        print("Test those that the table names as `from->to`, or remove what nothing needs.")
        return 1
    return 0


def _coverage(*arguments: str) -> str:
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
