"""The core is given the time and all that was seen; imports alone do not show that it is."""

from __future__ import annotations

import ast

from tests.house.source import modules

CORE = ("bridge/model/", "bridge/decide/")
SOURCES = "bridge/sources/*/source.py"
IMPURE = frozenset(
    ("open", "print", "input", "eval", "exec", "__import__", "breakpoint", "now", "utcnow", "today")
)
"""Builtins that reach out of the process, and the clocks of ``datetime``, which it may import."""


def test_the_core_reads_no_clock_and_no_file() -> None:
    core = [m for m in modules() if str(m.path).startswith(CORE) or m.path.match(SOURCES)]
    assert core
    found = [
        f"{module.place(call)} {ast.unparse(call.func)}"
        for module in core
        for call in ast.walk(module.tree)
        if isinstance(call, ast.Call) and _name(call.func) in IMPURE
    ]
    assert not found, "pass in what is needed:\n" + "\n".join(found)


def _name(function: ast.expr) -> str:
    """Return the last part of what is called."""
    match function:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
