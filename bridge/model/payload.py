"""The fields of a Vault version become the bytes of a Docker secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, assert_never

from bridge.errors import ContentRefused
from bridge.model.desired import Content, Format
from bridge.model.reasons import Reason

MAX_BYTES = 511_999
"""Most that the engine takes: ``larger than 0 and less than 512000 bytes``."""


class Concealed:
    """Bytes that no text shows: not a log, a traceback, a format string or a pickle (I6)."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def reveal(self) -> bytes:
        """Hand out the bytes; only for the call that gives them to the engine."""
        return self._data

    def __repr__(self) -> str:
        return "<concealed>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a concealed value is not pickled")

    def __copy__(self) -> Concealed:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Concealed:
        return self


def render(fields: Mapping[str, Any], content: Content) -> Concealed:
    """Make the content of a Docker secret.

    ``raw`` is the text of one field as it is; ``json`` is the whole version on one line, its keys
    sorted, without spaces and without a newline at its end.

    Raises:
        ContentRefused: The version has no such field, or it cannot be a Docker secret's content.
    """
    match content.format:
        case Format.RAW:
            data = _field(fields, content.field or "").encode()
        case Format.JSON:
            data = json.dumps(
                fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")
            ).encode()
        case _:
            assert_never(content.format)
    if not data:
        raise ContentRefused(
            Reason.CONTENT_EMPTY, "the value is empty, and the engine takes no empty secret"
        )
    if len(data) > MAX_BYTES:
        raise ContentRefused(
            Reason.CONTENT_TOO_LARGE,
            f"the content has {len(data)} bytes, and the engine takes at most {MAX_BYTES}",
        )
    return Concealed(data)


def _field(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        raise ContentRefused(Reason.FIELD_MISSING, f"the version in Vault has no field {name!r}")
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
