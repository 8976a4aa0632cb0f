"""What a running bridge tells of Vault is read back by the command beside it."""

from __future__ import annotations

import json

import pytest

from bridge.model.leased import (
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
from bridge.model.told import Told, read_view, write_view
from bridge.model.vault_view import Document, KvDocument, KvVersion, Unreadable, VaultView
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles

PATHS: dict[Source, Document | Unreadable] = {
    KvPath("", "kv", 'odd "path"'): KvDocument(
        "2026-11-25T00:00:00Z",
        3,
        {3: KvVersion("2026-11-25T00:00:01Z"), 2: KvVersion("2026-11-24T00:00:00Z", 5.0, True)},
    ),
    KvPath("team", "kv", "gone"): Unreadable(Reason.PATH_MISSING, "nothing", retry_after=2.0),
    DatabaseRole("", "db", "app"): RoleDocument(60.0, 3600.0),
    StaticRoles("", "db", ("a", "b")): StaticDocument({"a": StaticRole("x", 9.0)}),
}
LIFE = Life(started=1.0, ends=2.0, granted=1.0, renewed=True, failed="no", foreign=True)
VIEW = VaultView(
    as_of=20.0,
    paths=PATHS,
    again=30.0,
    generations={
        "one": GenerationView(19.0, LIFE, Gone()),
        "two": GenerationView(18.0, Unknown(Reason.FOREIGN_LEASE, "theirs", True), LIFE),
    },
    asked=dict.fromkeys(PATHS, 15.0) | {next(iter(PATHS)): 12.0},
)


def test_it_is_read_back_as_it_was() -> None:
    told = read_view(json.loads(json.dumps(write_view(VIEW))))
    assert told == VIEW
    assert Told(told).oldest == 12.0


def test_while_vault_is_away_all_of_it_is_as_old() -> None:
    view = VaultView(as_of=20.0, paths=PATHS)
    told = read_view(write_view(view))
    assert {told.asked_at(source) for source in PATHS} == {20.0}
    assert Told(told).oldest == 20.0


@pytest.mark.parametrize(
    "found", [["Life", 1, 2, 3, True, 0, 0, "", False], ["Nothing"], ["Gone"], []]
)
def test_what_is_no_document_is_refused(found: list[object]) -> None:
    told = write_view(VIEW)
    told["paths"][0][1] = found
    with pytest.raises((KeyError, ValueError, TypeError)):
        read_view(told)
