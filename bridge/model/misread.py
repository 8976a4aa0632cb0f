"""Names of fields that jinja2 reads as something else: ``db-password`` is a difference to it.

KV v2 takes any text as the name of a field, and a template's own names are letters, digits and
``_``. ``fields["db-password"]`` reaches every field; who did not write it so is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import jinja2

FIELDS = "fields"
"""What a template calls the map of all fields."""

_WRITTEN = frozenset({"name", "integer", "float", "operator"})
_SPELLING = re.compile(r"[^\W\d]\w*(?:[./-]\w+)*")
_PART = re.compile(r"([./-]?)(\w+)")
_KINDS = {"-": "a difference", "/": "a quotient"}


def reaching(name: str) -> str:
    """Write how a template reaches a field of any name."""
    return f"{FIELDS}[{json.dumps(name, ensure_ascii=False)}]"


@dataclass(frozen=True, slots=True)
class _Spelling:
    """Names, dots, dashes and slashes that stand together without a space, as in ``tls-key.pem``.

    Attributes:
        roots: The names in it that jinja2 looks up: ``tls`` and ``key``.
        sign: ``-`` or ``/``, where it stands before a name.
    """

    text: str
    line: int
    roots: frozenset[str]
    sign: str


def _spellings(environment: jinja2.Environment, template: str) -> Iterator[_Spelling]:
    """List what in a template's expressions may be meant as one name; a name alone as well."""
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
    """Say which name is sure to be read as a difference of two fields; empty where none is.

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
    """Return the field that the template spells and does not reach; empty where there is none."""
    texts = (found.text for found in _spellings(environment, template))
    return next((t for t in texts if t in fields and (t == FIELDS or not t.isidentifier())), "")
