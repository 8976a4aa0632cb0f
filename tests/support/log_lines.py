"""Lines of the bridge's log, held to their published JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import fastjsonschema

from bridge.report.log_schema import log_schema

Json = dict[str, Any]


def log_lines(text: str) -> Iterator[Json]:
    """Return the log lines in what a bridge printed; a last one may be half there."""
    for line in text.splitlines():
        if line.startswith('{"') and '"event"' in line:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def must_be_log_lines(text: str) -> None:
    """Fail where a line of the log is none of the published schema."""
    validate = _validator()
    wrong = []
    for line in log_lines(text):
        try:
            validate(line)
        except fastjsonschema.JsonSchemaException as error:
            wrong.append((str(error), line))
    assert not wrong, wrong[:5]


@cache
def _validator() -> Callable[[Json], Json]:
    made: Callable[[Json], Json] = fastjsonschema.compile(log_schema())
    return made
