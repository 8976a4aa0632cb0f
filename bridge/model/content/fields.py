"""Access to single fields of a Vault version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.errors import ContentRefused
from bridge.model.near import respelt
from bridge.model.reasons import Reason


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return the text of a field.

    Raises:
        ContentRefused: There is no such field, or it holds no text: KV v2 keeps JSON, in which
            ``12345678901234567890`` and ``1.0`` do not come back as they were written.
    """
    if name not in fields:
        message = f"the version in Vault has no field {name!r}"
        meant = respelt(name, fields)
        message += f": did you mean {meant!r}?" if meant else ""
        raise ContentRefused(Reason.FIELD_MISSING, message)
    value = fields[name]
    if not isinstance(value, str):
        raise ContentRefused(
            Reason.FIELD_NOT_TEXT,
            f"the field {name!r} holds {_kind(value)}, and only text can be taken as it is;"
            " write it as a string in Vault or use `format: json`",
        )
    return value


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "a map"
