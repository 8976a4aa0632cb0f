"""What is passed by position, and what by its name?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.conftest import Measure
from tests.house.source import Module, modules

FIELDS = 5
POSITIONAL = 7


def test_a_record_of_many_fields_is_made_by_their_names(measure: Measure) -> None:
    found = {where: count for module in modules() for where, count in _by_position(module)}
    measure(f"fields by position: {max(found, key=found.__getitem__)}", max(found.values()), FIELDS)
    above = sorted(f"{where} has {count}" for where, count in found.items() if count > FIELDS)
    assert not above, f"a record of more than {FIELDS} fields needs kw_only=True:\n" + "\n".join(
        above
    )


def test_few_parameters_are_passed_by_position(measure: Measure) -> None:
    found = {where: count for module in modules() for where, count in _parameters(module)}
    measure(
        f"parameters by position: {max(found, key=found.__getitem__)}",
        max(found.values()),
        POSITIONAL,
    )
    above = sorted(f"{where} has {count}" for where, count in found.items() if count > POSITIONAL)
    assert not above, (
        f"at most {POSITIONAL} parameters by position; name the others, or pass one record:\n"
        + "\n".join(above)
    )


def _by_position(module: Module) -> Iterator[tuple[str, int]]:
    """Return the dataclasses whose fields are not named, each with how many fields it has."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            made = [d for d in map(ast.unparse, node.decorator_list) if "dataclass" in d]
            if made and "kw_only=True" not in made[0]:
                fields = [line for line in node.body if isinstance(line, ast.AnnAssign)]
                yield f"{module.place(node)} {node.name}", len(fields)


def _parameters(module: Module) -> Iterator[tuple[str, int]]:
    """Return the functions, each with how many parameters it takes by position after ``self``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
            own = names[1:] if names[:1] in (["self"], ["cls"]) else names
            yield f"{module.place(node)} {getattr(node, 'name', 'lambda')}", len(own)
