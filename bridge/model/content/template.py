"""The ``template`` format: jinja2 in a sandbox, without files, with every name required.

Errors of rendering are reported without jinja2's own message, which may quote a value.
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
    """A template prints a value that has no text but Python's own."""


def _printed(value: object) -> object:
    """Return what is written for a value that the template prints."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float() | jinja2.Undefined():
            return value
        case _:
            raise _NotPrintable


def _urlencode(value: object) -> str:
    """Return a value quoted for a URL, with ``/`` too, which would end a password in a DSN."""
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
    """The names that a template uses and does not set itself.

    Attributes:
        called: Names that are only ever called, with the line of each.
        wanted: Fields that are named, also as ``fields["tls.crt"]``.
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
        """The functions of jinja2 that are called."""
        return {name: _FUNCTIONS[name] for name in self.called if name in _FUNCTIONS}


def _by_text(tree: jinja2.nodes.Template) -> Iterator[str]:
    """Yield the fields that a template names as ``fields["x"]`` or ``fields.x``."""
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
    """Return what is wrong with the text of a template; empty where nothing is.

    The text is part of the configuration, so that jinja2's own message cannot quote a value.
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
    """Return whether jinja2's message is one that it has for ``user@host`` or ``my field``."""
    return "unexpected char" in words or "expected token 'end of" in words


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """Return a template rendered with the fields of a version, by name and as ``fields``.

    Raises:
        ContentRefused: A field is missing, or the template fails on these fields.
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
    """Return a message that names the missing fields, as far as the template names them."""
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
