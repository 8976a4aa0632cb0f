"""Finds names of fields that jinja2 reads as an expression: ``db-password`` is a difference to it.

KV v2 takes any text as the name of a field, while names in a template have letters, digits and
``_``. ``fields["db-password"]`` works for every field, and the messages from here say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import jinja2

FIELDS = "fields"
"""Name of the map of all fields in a template."""

_WRITTEN = frozenset({"name", "integer", "float", "operator"})
_SPELLING = re.compile(r"[^\W\d]\w*(?:[./-]\w+)*")
_PART = re.compile(r"([./-]?)(\w+)")
_KINDS = {"-": "a difference", "/": "a quotient"}


def reaching(name: str) -> str:
    """Return the expression that is a field of any name in a template."""
    return f"{FIELDS}[{json.dumps(name, ensure_ascii=False)}]"


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A run of names, dots, dashes and slashes without a space, as ``tls-key.pem``.

    Attributes:
        roots: The names in it that jinja2 looks up: ``tls`` and ``key``.
        sign: ``-`` or ``/``, if one of them comes before a name; else empty.
    """

    text: str
    line: int
    roots: frozenset[str]
    sign: str


def _spellings(environment: jinja2.Environment, template: str) -> Iterator[_Spelling]:
    """Yield what in a template's expressions may be meant as one name, plain names included."""
    expressions = "".join(
        text if kind in _WRITTEN else "\n" * text.count("\n") or " "
        for _, kind, text in environment.lex(template)
    )
    for match in _SPELLING.finditer(expressions):
        parts = _PART.findall(match[0])
        roots = {name: sign for sign, name in parts if sign != "." and not name[0].isdigit()}
        sign = next(filter(None, roots.values()), "")
        line = expressions.count("\n", 0, match.start()) + 1
        yield _Spelling(match[0], line, frozenset(roots), sign)


def misread(environment: jinja2.Environment, template: str, looked_up: AbstractSet[str]) -> str:
    """Return a message about a name that is read as a difference or quotient; empty if none is.

    Args:
        looked_up: The names that the template itself does not set.
    """
    for found in _spellings(environment, template):
        if found.sign and found.roots <= looked_up:
            return (
                f"line {found.line} of the template: `{found.text}` is"
                f" {_KINDS[found.sign]} of fields; the field of this name is"
                f" {reaching(found.text)}, and where you mean {_KINDS[found.sign]} put spaces"
                f" around the `{found.sign}`"
            )
    return ""


def unreached(environment: jinja2.Environment, template: str, fields: AbstractSet[str]) -> str:
    """Return a field that the template names and jinja2 does not look up; empty if none."""
    texts = (found.text for found in _spellings(environment, template))
    return next((t for t in texts if t in fields and (t == FIELDS or not t.isidentifier())), "")
