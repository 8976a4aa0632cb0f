"""The JSON Schema of a line of the log, and the table of its events for the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.model.events import EVENTS, EVERY_LINE, FIELDS, Event
from bridge.model.reasons import Reason, State

Json = dict[str, Any]

_TYPES: dict[str, Json] = {
    "text": {"type": "string", "minLength": 1},
    "number": {"type": "integer"},
    "number or null": {"type": ["integer", "null"]},
    "decimal": {"type": "number"},
    "record": {"type": "object", "required": ["seq", "previous", "hash", "at", "act"]},
    "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
    "rotation": {"type": "string", "pattern": "^.+@[0-9]+-[a-z2-7]{4}$"},
    "level": {"enum": ["debug", "info", "warning", "error"]},
    "event": {"enum": [str(event) for event in Event]},
    "reason": {"enum": [str(reason) for reason in Reason]},
    "state": {"enum": [str(state) for state in State]},
}


def log_schema() -> Json:
    """Return the JSON Schema of one line of the log."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "vault-bridge log line",
        "description": "One line of the log of vault-swarm-bridge, as JSON.",
        "type": "object",
        "properties": {
            name: {**_TYPES[kind], "description": meaning}
            for name, (kind, meaning) in FIELDS.items()
        },
        "required": list(EVERY_LINE),
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"event": {"const": str(event)}}},
                "then": {"required": list(about.has)},
            }
            for event, about in EVENTS.items()
            if about.has
        ],
    }


def field_table() -> Iterator[str]:
    """Write the fields as a table."""
    yield "| field | type | meaning |"
    yield "| --- | --- | --- |"
    for name, (kind, meaning) in FIELDS.items():
        always = " On every line." if name in EVERY_LINE else ""
        yield f"| `{name}` | {kind} | {meaning}.{always} |"


def event_table() -> Iterator[str]:
    """Write the events as a table."""
    yield "| event | level | what happened | always has |"
    yield "| --- | --- | --- | --- |"
    for event, about in EVENTS.items():
        has = ", ".join(f"`{name}`" for name in about.has) or "-"
        yield f"| `{event}` | {about.level} | {about.meaning} | {has} |"
