"""What a measure finds, and the one table that ``make bench`` prints of all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measure beside its control, both of the same run.

    Attributes:
        what: What was measured.
        ours: The figure, in ``unit``.
        control: What it is compared with, in words.
        theirs: The control's figure; None where there is none.
        limit: The goal: of the ratio where there is a control, else of the figure.
    """

    what: str
    ours: float
    unit: str
    limit: float
    control: str = ""
    theirs: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over the control's."""
        return self.ours / self.theirs if self.theirs else None

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        ratio = self.ratio
        return (self.ours if ratio is None else ratio) <= self.limit

    def row(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        ratio = self.ratio
        theirs = "" if self.theirs is None else f"{_short(self.theirs)} {self.unit}"
        goal = f"{_short(self.limit)} {self.unit}" if ratio is None else f"x {self.limit:g}"
        return (
            self.what,
            goal,
            f"{_short(self.ours)} {self.unit}",
            f"{theirs} {self.control}".strip(),
            "" if ratio is None else f"{ratio:.2f}",
            "yes" if self.met else "NO",
        )


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


_HEADS = ("figure", "goal", "ours", "control in the same run", "ratio", "met")
_WIDTHS = (48, 10, 13, 40, 5, 3)


def print_table(figures: Iterable[Figure]) -> None:
    """Print figures as a table that Markdown takes, each row as soon as it is measured."""
    _print(_HEADS)
    _print(tuple("-" * width for width in _WIDTHS))
    for figure in figures:
        _print(figure.row())


def _print(cells: tuple[str, ...]) -> None:
    padded = (cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    print(f"| {' | '.join(padded)} |", flush=True)


class Child:
    """A process of Python whose processor time and memory are looked at while it runs."""

    def __init__(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    @property
    def cpu(self) -> float:
        """Seconds of processor time until now."""
        text = Path(f"/proc/{self._process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def memory(self) -> float:
        """Resident memory, in MiB."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def wait_for(self, ready: Callable[[], bool], patience: float = 600.0) -> None:
        """Wait until something is so, while the process runs."""
        end = time.monotonic() + patience
        while not ready():
            if self._process.poll() is not None or time.monotonic() > end:
                self._process.kill()
                _, said = self._process.communicate()
                raise RuntimeError(f"it did not get there:\n{said.decode()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, and forget what it said."""
        self._process.terminate()
        self._process.communicate()


def least_cpu(times: int, *arguments: str) -> float:
    """Return the least processor time of a command of Python, in seconds."""
    return min(_cpu_of(arguments) for _ in range(times))


def _cpu_of(arguments: Sequence[str]) -> float:
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return used.ru_utime + used.ru_stime
