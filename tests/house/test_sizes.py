"""How much is in one module, and in one function? There are no exceptions."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from tests.house.conftest import Measure
from tests.house.source import ROOT, modules

LINES = 420
COMPLEXITY = 15


def test_no_module_is_longer_than_one_can_keep_in_mind(measure: Measure) -> None:
    found = {str(module.path): len(module.text.splitlines()) for module in modules()}
    measure(f"lines in one module: {max(found, key=found.__getitem__)}", max(found.values()), LINES)
    above = sorted(f"{path} has {count}" for path, count in found.items() if count > LINES)
    assert not above, f"at most {LINES} lines in a module; part it:\n" + "\n".join(above)


def test_no_function_has_more_paths_than_one_can_follow(measure: Measure) -> None:
    """As radon counts: the conditions of comprehensions, `and` and `or` are paths too."""
    found = complexities()
    worst = max(found, key=found.__getitem__)
    measure(f"paths in one function: {worst}", found[worst], COMPLEXITY)
    above = sorted(f"{place} has {count}" for place, count in found.items() if count > COMPLEXITY)
    assert not above, f"at most {COMPLEXITY} paths in a function; part it:\n" + "\n".join(above)


def test_every_function_is_counted() -> None:
    """Radon passes over classes within functions and within other classes."""
    functions = {
        f"{module.place(node)} {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    missed = sorted(functions - complexities().keys())
    assert not missed, "radon does not count these; move their class out:\n" + "\n".join(missed)


@cache
def complexities() -> dict[str, int]:
    """Return the complexity of each function, by where it is."""
    command = [sys.executable, "-m", "radon", "cc", "--json", "bridge"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found: dict[str, int] = {}
    for path, blocks in json.loads(answer).items():
        assert isinstance(blocks, list), f"radon cannot read {path}: {blocks}"
        found.update(_functions(path, blocks))
    return found


def _functions(path: str, blocks: Iterable[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    for block in blocks:
        if block["type"] != "class":
            yield f"{path}:{block['lineno']} {block['name']}", block["complexity"]
        for inner in (block.get("closures", ()), block.get("methods", ())):
            yield from _functions(path, inner)
