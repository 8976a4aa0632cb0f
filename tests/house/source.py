"""The source of the bridge, as the checks read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    """A module of the bridge."""

    path: Path
    text: str
    tree: ast.Module

    def place(self, node: ast.AST) -> str:
        """Return where something is, as editors and terminals open it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@cache
def modules() -> tuple[Module, ...]:
    """Return all modules of the bridge."""
    return tuple(_modules())


def _modules() -> Iterator[Module]:
    for path in sorted((ROOT / "bridge").rglob("*.py")):
        text = path.read_text()
        yield Module(path.relative_to(ROOT), text, ast.parse(text))
