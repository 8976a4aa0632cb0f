"""Reads plain YAML by libyaml, event by event: no tree of nodes is made, and nothing of it stays.

Of 10,000 secrets this takes a tenth of the time of PyYAML's own loader, and no memory but that of
the data. It knows what configurations are made of: mappings, lists and scalars. At anchors,
merge keys, tags, keys that are no text or given twice, and mistakes of any kind it gives up: the
reader in ``yaml_file`` reads all anew by PyYAML's own loader. So each message is that reader's.

It gives up as well on what libyaml reads and PyYAML's loader does not, or reads otherwise. A file
means the same wherever the bridge runs, with libyaml or without:

1. Tabs between tokens, and ``?`` in a plain scalar of a flow mapping or list: libyaml takes both.
2. A comment at once behind the sign of a block, as in ``|#``, which libyaml takes.
3. Byte order marks, and the line breaks of Unicode.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import yaml
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from bridge.keys.written import WrittenInt

Key = tuple[str | int, ...]
"""Where something stands: the keys and list positions from the top."""

_LOADER: Any = getattr(yaml, "CSafeLoader", None)
"""None where PyYAML was built without libyaml."""

_UNUSUAL = re.compile("[\t\x85\u2028\u2029\ufeff]|[|>][-+0-9]*#")
_TEXT = "tag:yaml.org,2002:str"


class _NotPlain(Exception):
    """The file has something that is not read here."""


def read_plain(text: str, lines: dict[Key, int] | None = None) -> dict[str, Any] | None:
    """Return what a file says; None where only the other reader can tell.

    Args:
        lines: Is filled with the line of each key and list item, counted from 1.
    """
    if _LOADER is None or _UNUSUAL.search(text):
        return None
    loader = _LOADER(text)
    try:
        return _Events(loader, lines).document()
    except (yaml.YAMLError, ValueError, RecursionError, _NotPlain):
        return None
    finally:
        loader.dispose()


def scalar(loader: Any, node: yaml.Node) -> Any:
    """Return what a scalar is; a whole number knows how it was written."""
    value = loader.construct_object(node, deep=True)
    loader.constructed_objects.clear()  # which are kept for the sake of aliases
    if isinstance(value, int) and not isinstance(value, bool):
        return WrittenInt(value, str(node.value))
    return value


class _Events:
    def __init__(self, loader: Any, lines: dict[Key, int] | None) -> None:
        self._loader = loader
        self._next = loader.get_event
        self._lines = lines
        self._flow = 0
        """How many flow mappings and lists are open."""

    def document(self) -> dict[str, Any]:
        self._must_be(StreamStartEvent)
        self._must_be(DocumentStartEvent)
        read = self._mapping(self._must_be(MappingStartEvent), ())
        self._must_be(DocumentEndEvent)
        self._must_be(StreamEndEvent)
        return read

    def _must_be(self, kind: type[Any]) -> Any:
        event = self._next()
        if type(event) is not kind:
            raise _NotPlain
        return event

    def _value(self, event: Any, at: Key) -> Any:
        kind = type(event)
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is MappingStartEvent:
            return self._mapping(event, at)
        if kind is SequenceStartEvent:
            return self._sequence(event, at)
        raise _NotPlain

    def _mapping(self, start: Any, at: Key) -> dict[str, Any]:
        self._open(start)
        read: dict[str, Any] = {}
        lines = self._lines
        while type(event := self._next()) is not MappingEndEvent:
            key = self._scalar(event) if type(event) is ScalarEvent else None
            if type(key) is not str or key in read:
                raise _NotPlain
            key = sys.intern(key)
            if lines is None:
                read[key] = self._value(self._next(), at)
            else:
                below = (*at, key)
                lines[below] = event.start_mark.line + 1
                read[key] = self._value(self._next(), below)
        self._flow -= bool(start.flow_style)
        return read

    def _sequence(self, start: Any, at: Key) -> list[Any]:
        self._open(start)
        read: list[Any] = []
        while type(event := self._next()) is not SequenceEndEvent:
            below = (*at, len(read))
            if self._lines is not None:
                self._lines[below] = event.start_mark.line + 1
            read.append(self._value(event, below))
        self._flow -= bool(start.flow_style)
        return read

    def _open(self, start: Any) -> None:
        if start.anchor is not None or start.tag is not None:
            raise _NotPlain
        self._flow += bool(start.flow_style)

    def _scalar(self, event: Any) -> Any:
        if event.anchor is not None or event.tag is not None:
            raise _NotPlain
        value: str = event.value
        if not event.implicit[0]:  # in quotes, or a block
            return value
        if self._flow and "?" in value:
            raise _NotPlain
        loader = self._loader
        tag = loader.resolve(yaml.ScalarNode, value, (True, False))
        if tag == _TEXT:
            return value
        return scalar(loader, yaml.ScalarNode(tag, value, event.start_mark, event.end_mark))
