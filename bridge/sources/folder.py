"""Sources that one request may tell of: a folder of an engine that lists its documents whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.model.source import Source
from bridge.model.vault_view import Document


@dataclass(frozen=True, slots=True, order=True)
class Folder:
    """A folder of one engine.

    Attributes:
        namespace: Empty for the root namespace.
        mount: Mount of the engine, without slashes at its ends.
        path: Path below the mount, without slashes at its ends; empty for all of the mount.
    """

    namespace: str
    mount: str
    path: str

    def __str__(self) -> str:
        place = f"{self.mount}/{self.path}/" if self.path else f"{self.mount}/"
        return f"{place} (namespace {self.namespace})" if self.namespace else place


class Apart(StrEnum):
    """Why the sources of a folder are asked for one by one."""

    NOT_OFFERED = "Vault does not list them whole, as only OpenBao does"
    NOT_GRANTED = "our token may not list them whole"
    COSTLIER = "to list them whole costs more, for all that is listed besides"
    NO_ANSWER = "the list of them is not to be had, while each of them is"


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of an earlier round, so that an equal one need not be read again.

    Attributes:
        digest: Of the answer, but for what is never the same twice.
        documents: By name, those that were asked for and understood.
        last: The last name that is listed.
        count: How many are listed.
    """

    digest: bytes
    documents: Mapping[str, Document]
    last: str
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Sources that are asked for together, in the order of their names; or one alone.

    Attributes:
        folder: Where they are; None for a source alone.
        pages: The answers of the last round, by what was asked for. The reader replaces them.
    """

    sources: tuple[Source, ...]
    folder: Folder | None = None
    pages: dict[str, Page] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[Source]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)
