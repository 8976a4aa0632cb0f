"""Content by a template: jinja2 in a sandbox, without files, with every name required.

Whatever goes wrong is said without jinja2's own words, which may quote a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2
import jinja2.defaults
import jinja2.meta
import jinja2.sandbox

from bridge.errors import ContentRefused
from bridge.model.misread import FIELDS, misread, reaching, unreached
from bridge.model.near import respelt
from bridge.model.reasons import Reason

_FUNCTIONS: Mapping[str, Any] = {
    name: function
    for name, function in jinja2.defaults.DEFAULT_NAMESPACE.items()
    if name != "lipsum"
}
"""What a template may call. Anywhere else these are names of fields as any other."""

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


def _urlencode(value: object) -> str:
    """Quote everything for a URL; jinja2's own leaves ``/``, which ends a password in a DSN."""
    return quote(str(_printed(value)), safe="")


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
    environment.globals.clear()  # one of its names would hide that a field is missing
    return environment


@dataclass(frozen=True, slots=True)
class _Names:
    """The names in a template that it does not set itself.

    Attributes:
        called: Those that are only ever called, each with its line.
        wanted: Fields that it names, be it as ``fields["tls.crt"]``.
    """

    called: Mapping[str, int]
    wanted: frozenset[str]

    @classmethod
    def read(cls, tree: jinja2.nodes.Template) -> _Names:
        undeclared = jinja2.meta.find_undeclared_variables(tree)
        names = [n for n in tree.find_all(jinja2.nodes.Name) if n.name in undeclared]
        callees = {id(call.node) for call in tree.find_all(jinja2.nodes.Call)}
        plain = {name.name for name in names if id(name) not in callees}
        called = {name.name: name.lineno for name in names if name.name not in plain}
        return cls(called, frozenset(plain - {FIELDS} | set(_by_text(tree))))

    @property
    def functions(self) -> dict[str, Any]:
        """Those of jinja2 that it calls."""
        return {name: _FUNCTIONS[name] for name in self.called if name in _FUNCTIONS}


def _by_text(tree: jinja2.nodes.Template) -> Iterator[str]:
    """List what a template names as ``fields["x"]`` or ``fields.x``."""
    for item in tree.find_all(jinja2.nodes.Getitem):
        name = item.arg.value if isinstance(item.arg, jinja2.nodes.Const) else None
        if _is_fields(item.node) and isinstance(name, str):
            yield name
    for attribute in tree.find_all(jinja2.nodes.Getattr):
        if _is_fields(attribute.node) and not hasattr(dict, attribute.attr):
            yield attribute.attr


def _is_fields(node: jinja2.nodes.Expr) -> bool:
    return isinstance(node, jinja2.nodes.Name) and node.name == FIELDS


def mistake_in(template: str) -> str:
    """Say what is wrong with a template's text; empty where it can be used.

    The text is the configuration's, so jinja2's words on it hold no value.
    """
    try:
        tree = _environment().parse(template)
        _environment().compile(tree)
    except jinja2.TemplateSyntaxError as error:
        message = f"line {error.lineno} of the template: {error.message}"
        return message + (_NAMES_ARE if _may_be_a_name(error.message or "") else "")
    except jinja2.TemplateError as error:
        return str(error)
    if any(tree.find_all(_OF_OTHER_FILES)):
        return "it cannot take in other files"
    names = _Names.read(tree)
    for name, line in names.called.items():
        if name not in _FUNCTIONS:
            known = ", ".join(sorted(_FUNCTIONS))
            return (
                f"line {line} of the template: `{name}` is called, and is none of the functions"
                f" that there are ({known}); fields are named without brackets"
            )
    if any(name.name == "self" for name in tree.find_all(jinja2.nodes.Name)):
        return f"`self` is jinja2's own; a field of this name is {reaching('self')}"
    return misread(_environment(), template, names.wanted | names.called.keys())


_NAMES_ARE = (
    f"; a field whose name has more than letters, digits and `_` is written {reaching('its name')}"
)


def _may_be_a_name(words: str) -> bool:
    """Tell whether jinja2's complaint is one that it has of ``user@host`` or ``my field``."""
    return "unexpected char" in words or "expected token 'end of" in words


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """Fill a template in with the fields of a version, by their names and as ``fields``.

    Raises:
        ContentRefused: A name is missing, or the template cannot be filled in with these fields.
    """
    environment = _environment()
    try:
        names = _Names.read(environment.parse(template))
        made = environment.from_string(template, names.functions)
        return made.render({**fields, FIELDS: dict(fields)})
    except jinja2.UndefinedError:
        raise ContentRefused(Reason.FIELD_MISSING, _absent(names, template, fields)) from None
    except _NotPrintable:
        message = "the template prints null, a list or a map; `| tojson` writes these as JSON"
    except Exception as error:  # noqa: BLE001 - a template can raise anything
        kind = type(error).__name__
        message = f"the template cannot be filled in with this version ({kind})"
    message = _unreached(template, fields) or message
    raise ContentRefused(Reason.TEMPLATE_FAILED, message) from None


def _absent(names: _Names, template: str, fields: Mapping[str, Any]) -> str:
    """Name what is missing, as far as the template itself names it."""
    hidden = _unreached(template, fields)
    if hidden:
        return hidden
    absent = sorted(names.wanted - fields.keys())
    if not absent:
        return "the template reaches for a part of a field that the version has not"
    listed = ", ".join(repr(name) for name in absent)
    message = f"the template names {listed}, and the version has no such field"
    meant = next(filter(None, (respelt(name, fields) for name in absent)), "")
    return f"{message}: did you mean {meant!r}? It is {reaching(meant)}" if meant else message


def _unreached(template: str, fields: Mapping[str, Any]) -> str:
    name = unreached(_environment(), template, fields.keys())
    return name and f"`{name}` in the template is not the field {name!r}: write {reaching(name)}"
