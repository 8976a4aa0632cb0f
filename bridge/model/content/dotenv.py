"""The ``dotenv`` format: fields as lines of a ``.env`` file that libraries and shells read alike.

There is no standard. python-dotenv and a POSIX shell that sources the file agree on words without
special characters, on single quotes around what has neither a quote nor a backslash that they
differ about, and on double quotes around what has no ``$``, backtick or backslash. What fits none
of these is refused, also ``${``, which python-dotenv fills in even between single quotes: a
credential that two readers take differently is found out in production. Docker's ``--env-file`` is
no such reader: it keeps the quotes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bridge.errors import ContentRefused
from bridge.model.reasons import Reason

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_SINGLE = re.compile(r"(?:[^'\\]|\\(?![\\']|\Z))*")
_DOUBLE = re.compile(r"[^$`\\]*")


def dotenv(fields: Mapping[str, str]) -> str:
    """Return the fields as ``NAME=value``, sorted by name, each on a line of its own.

    Raises:
        ContentRefused: A name is no variable's name, or readers would disagree about a value.
    """
    return "".join(f"{_name(name)}={_value(name, fields[name])}\n" for name in sorted(fields))


def _name(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    raise _refused(name, "is not a variable's name: letters, digits and `_`, no digit first")


def _value(name: str, value: str) -> str:
    if "\0" in value or "\r" in value:
        raise _refused(name, "has a NUL or a carriage return, which no reader gives back")
    if "${" in value:
        raise _refused(name, "has `${`, which some readers fill in whatever the quotes")
    if _PLAIN.fullmatch(value):
        return value
    if _SINGLE.fullmatch(value):
        return f"'{value}'"
    if _DOUBLE.fullmatch(value):
        return '"' + value.replace('"', '\\"') + '"'
    what = "mixes quotes, `$`, backticks or backslashes in a way that readers take differently"
    raise _refused(name, what)


def _refused(name: str, what: str) -> ContentRefused:
    return ContentRefused(
        Reason.FORMAT_CANNOT_HOLD,
        f"the field {name!r} {what}; use `format: json`, or another value",
    )
