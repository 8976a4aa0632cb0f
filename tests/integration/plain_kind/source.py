"""A path of a KV v1 engine, which keeps no versions: the value says which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.model.identity import Identity
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.vault_view import Document, KvDocument


@dataclass(frozen=True, slots=True)
class PlainPath(Source):
    """A KV v1 path."""

    namespace: str
    mount: str
    plain: str

    __str__ = Source.__str__

    @property
    def place(self) -> str:
        """The path."""
        return self.plain

    @property
    def label(self) -> Mapping[str, object]:
        """The path."""
        return {"plain": self.plain}

    @classmethod
    def from_label(cls, namespace: str, mount: str, label: Mapping[str, Any]) -> PlainPath | None:
        """Read back ``label``."""
        return cls(namespace, mount, str(label["plain"])) if "plain" in label else None

    def current(
        self, document: Document, now: float
    ) -> tuple[int | None, Identity | tuple[Reason, str] | None]:
        """Return the version that the value names."""
        del now
        if not isinstance(document, KvDocument):
            return None, None
        version = document.versions[document.current]
        return document.current, Identity(
            self, document.path_created, document.current, version.created
        )
