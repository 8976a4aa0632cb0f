"""Content by a template: jinja2 in a sandbox, without files, with every name required.

Whatever goes wrong is said without jinja2's own words, which may quote a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2
import jinja2.meta
import jinja2.sandbox

from bridge.errors import ContentRefused
from bridge.model.reasons import Reason


def _urlencode(value: object) -> str:
    """Quote everything for a URL; jinja2's own leaves ``/``, which ends a password in a DSN."""
    return quote(str(value), safe="")


_OF_OTHER_FILES = (
    jinja2.nodes.Include,
    jinja2.nodes.Import,
    jinja2.nodes.FromImport,
    jinja2.nodes.Extends,
)


class _NotPrintable(Exception):
    """A value whose text would be Python's."""


def _printed(value: object) -> object:
    """Say how a value is written where the template prints it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float() | jinja2.Undefined():
            return value
        case _:
            raise _NotPrintable


@cache
def _environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        loader=None,
        finalize=_printed,
    )
    environment.filters["urlencode"] = _urlencode
    return environment


def mistake_in(template: str) -> str:
    """Say what is wrong with a template's text; empty where it can be used.

    The text is the configuration's, so jinja2's words on it hold no value.
    """
    try:
        tree = _environment().parse(template)
        _environment().compile(tree)
    except jinja2.TemplateSyntaxError as error:
        return f"line {error.lineno} of the template: {error.message}"
    except jinja2.TemplateError as error:
        return str(error)
    if any(tree.find_all(_OF_OTHER_FILES)):
        return "it cannot take in other files"
    return ""


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """Fill a template in with the fields of a version.

    Raises:
        ContentRefused: A name is missing, or the template cannot be filled in with these fields.
    """
    try:
        return _environment().from_string(template).render(fields)
    except jinja2.UndefinedError:
        raise ContentRefused(Reason.FIELD_MISSING, _absent(template, fields)) from None
    except _NotPrintable:
        raise ContentRefused(
            Reason.TEMPLATE_FAILED,
            "the template prints null, a list or a map; `| tojson` writes these as JSON",
        ) from None
    except Exception as error:  # noqa: BLE001 - a template can raise anything
        kind = type(error).__name__
        raise ContentRefused(
            Reason.TEMPLATE_FAILED, f"the template cannot be filled in with this version ({kind})"
        ) from None


def _absent(template: str, fields: Mapping[str, Any]) -> str:
    """Name what is missing, as far as the template itself names it."""
    environment = _environment()
    names = jinja2.meta.find_undeclared_variables(environment.parse(template))
    absent = sorted(names - fields.keys() - environment.globals.keys())
    if not absent:
        return "the template reaches for a part of a field that the version has not"
    listed = ", ".join(repr(name) for name in absent)
    return f"the template names {listed}, and the version has no such field"
