"""The kinds of sources that there are."""

from __future__ import annotations

from bridge.model.source import Source
from bridge.sources.database.kind import Database
from bridge.sources.kind import AnyKind
from bridge.sources.kv.kind import Kv
from bridge.sources.static.kind import Static

KINDS: tuple[AnyKind, ...] = (Kv(), Database(), Static())


def kind_of(source: Source) -> AnyKind:
    """Return the kind that a source is of.

    Raises:
        KeyError: It is of none.
    """
    for kind in KINDS:
        if isinstance(source, kind.noun):
            return kind
    raise KeyError(type(source).__name__)
