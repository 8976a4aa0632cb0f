"""Renders the fields of a Vault version as the bytes of a Docker secret."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, NoReturn, assert_never

from bridge.errors import ContentRefused
from bridge.model.content.dotenv import dotenv
from bridge.model.content.fields import text_of
from bridge.model.desired import Content, Decode, Format, TrailingNewline
from bridge.model.reasons import Reason

MAX_BYTES = 511_999
"""The engine's limit for a secret: ``larger than 0 and less than 512000 bytes``."""


class Concealed:
    """Bytes that get into no log, traceback, formatted text or pickle by accident (I6)."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def reveal(self) -> bytes:
        """Return the bytes; only for the call that gives them to the engine."""
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
    """Return the value of the Docker secret for the fields of a version.

    1. ``raw``: the text of one field, or the bytes that it is the base64 of.
    2. ``json``: all fields on one line, keys sorted, without spaces.
    3. ``dotenv``: a line for each field.
    4. ``template``: what the jinja2 template renders.

    ``trailing_newline`` is applied last, whatever the format.

    Raises:
        ContentRefused: The fields do not fit the format, or the engine takes no such value. The
            message has names of fields and no byte of a value.
    """
    match content.format:
        case Format.RAW:
            data = _raw(fields, content)
        case Format.JSON:
            text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            data = _encoded(text)
        case Format.DOTENV:
            data = _encoded(dotenv({name: text_of(fields, name) for name in fields}))
        case Format.TEMPLATE:
            # jinja2 takes longer to import than most commands to run.
            from bridge.model.content.template import fill  # noqa: PLC0415

            data = _encoded(fill(content.template or "", fields))
        case _:
            assert_never(content.format)
    data = _ended(data, content.trailing_newline)
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


def _raw(fields: Mapping[str, Any], content: Content) -> bytes:
    name = content.field or ""
    data = _encoded(text_of(fields, name))
    if content.decode is None:
        return data
    data = b"".join(data.split())  # tools break lines at 64 or 76 characters
    decoded = _decoded(data, content.decode)
    if decoded is not None:
        return decoded
    message = f"the field {name!r} is not {content.decode}"
    other = Decode.BASE64 if content.decode is Decode.BASE64URL else Decode.BASE64URL
    if _decoded(data, other) is not None:
        message += f": it is in the other alphabet, write `decode: {other}`"
    raise ContentRefused(Reason.NOT_BASE64, message)


_ALPHABETS = {Decode.BASE64: rb"[A-Za-z0-9+/]*", Decode.BASE64URL: rb"[A-Za-z0-9_-]*"}


def _decoded(data: bytes, alphabet: Decode) -> bytes | None:
    """Return the bytes that a text encodes; None where it is no such encoding."""
    bare = data.rstrip(b"=")
    if not re.fullmatch(_ALPHABETS[alphabet], bare):
        return None
    standard = bare.translate(bytes.maketrans(b"-_", b"+/"))
    try:
        decoded = b64decode(standard + b"=" * (-len(bare) % 4), validate=True)
    except ValueError:
        return None
    whole = b64encode(decoded)
    if len(bare) == len(data):
        # Nothing but the bits that it leaves unused tells that such a text has lost its end.
        return decoded if whole.rstrip(b"=") == standard else None
    return decoded if len(whole) == len(data) else None


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Its message quotes the text.
        raise ContentRefused(
            Reason.FORMAT_CANNOT_HOLD, "it has halves of surrogate pairs, which are no characters"
        ) from None


def _ended(data: bytes, newline: TrailingNewline) -> bytes:
    match newline:
        case TrailingNewline.KEEP:
            return data
        case TrailingNewline.STRIP:
            return data.rstrip(b"\r\n")
        case TrailingNewline.ADD:
            return data if not data or data.endswith(b"\n") else data + b"\n"
        case _:
            assert_never(newline)
