"""The view of Vault as a running bridge tells it to a command beside it, as JSON values.

It has versions, times and errors, and never a value, a lease's id or an accessor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from bridge.model.labels import read_source, source_label
from bridge.model.leased import (
    Fate,
    GenerationView,
    Gone,
    Life,
    RoleDocument,
    StaticDocument,
    StaticRole,
    Unknown,
)
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.vault_view import Document, KvDocument, KvVersion, Unreadable, VaultView

Json = dict[str, Any]

_PLAIN = {noun.__name__: noun for noun in (RoleDocument, Unreadable, Life, Gone, Unknown)}
"""Nouns whose fields are JSON values, but for a ``Reason``."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command knows of Vault from a bridge that runs beside it.

    Attributes:
        asked: How many paths that one does not watch, so that the command asked Vault for them.
    """

    view: VaultView
    asked: int = 0

    @property
    def oldest(self) -> float:
        """When the oldest of it was asked for, seconds since the epoch."""
        return min(self.view.asked.values(), default=self.view.as_of)


def write_view(view: VaultView) -> Json:
    """Return a view as JSON values."""
    paths = [
        [source_label(source), _write(found), view.asked_at(source)]
        for source, found in view.paths.items()
    ]
    generations = {
        secret_id: [seen.as_of, _write(seen.lease), _write(seen.custody)]
        for secret_id, seen in view.generations.items()
    }
    return {
        "as_of": view.as_of,
        "again": view.again,
        "paths": paths,
        "generations": generations,
    }


def read_view(raw: Mapping[str, Any]) -> VaultView:
    """Return what ``write_view`` wrote.

    Raises:
        KeyError, ValueError, TypeError: It is of another release, or damaged.
    """
    paths: dict[Source, Document | Unreadable] = {}
    asked: dict[Source, float] = {}
    for label, found, at in raw["paths"]:
        source = read_source(label)
        paths[source], asked[source] = _read_document(found), float(at)
    generations = {
        str(secret_id): GenerationView(float(at), _read_fate(lease), _read_fate(custody))
        for secret_id, (at, lease, custody) in raw["generations"].items()
    }
    again = raw["again"]
    return VaultView(
        as_of=float(raw["as_of"]),
        paths=paths,
        again=None if again is None else float(again),
        generations=generations,
        asked=asked,
    )


def _write(noun: Document | Unreadable | Fate) -> list[Any]:
    """Return the name of a noun's class, and its fields in their order."""
    values: list[Any]
    match noun:
        case KvDocument(path_created, current, versions):
            listed = [[n, v.created, v.deletion_time, v.destroyed] for n, v in versions.items()]
            values = [path_created, current, listed]
        case StaticDocument(roles):
            values = [[[name, role.rotated, role.period] for name, role in roles.items()]]
        case _:
            values = [getattr(noun, each.name) for each in fields(noun)]
    return [type(noun).__name__, *values]


def _read_document(raw: list[Any]) -> Document | Unreadable:
    match raw:
        case ["KvDocument", str(path_created), int(current), listed]:
            versions = {int(n): KvVersion(*version) for n, *version in listed}
            return KvDocument(path_created, current, versions)
        case ["StaticDocument", listed]:
            return StaticDocument({str(name): StaticRole(*role) for name, *role in listed})
        case _:
            pass
    found = _read_plain(raw)
    if not isinstance(found, RoleDocument | Unreadable):
        raise TypeError("no document")
    return found


def _read_fate(raw: list[Any]) -> Fate:
    found = _read_plain(raw)
    if not isinstance(found, Life | Gone | Unknown):
        raise TypeError("no fate")
    return found


def _read_plain(raw: list[Any]) -> object:
    name, *values = raw
    noun = _PLAIN[name]
    given = dict(zip((each.name for each in fields(noun)), values, strict=True))
    if "reason" in given:
        given["reason"] = Reason(given["reason"])
    return noun(**given)
