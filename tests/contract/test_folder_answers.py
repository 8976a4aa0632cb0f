"""What answers on a folder mean, also those that no server here gives by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.model.reasons import Reason
from bridge.model.settings import TokenFile, VaultSettings
from bridge.model.vault_view import KvDocument, Unreadable
from bridge.observe_vault import look_at
from bridge.servers.vault import Vault
from bridge.sources.folder import Apart, Unit
from bridge.sources.kv.source import KvPath
from bridge.sources.units import units_of
from tests.support.answers import Answers, Reply, Request, answers

NAMES = ("a", "b", "c", "d")
LIST = "/v1/secret/detailed-metadata/shop/"
TIME = "2026-11-01T00:00:00Z"
RAW = {
    "created_time": TIME,
    "current_version": 1,
    "versions": {"1": {"created_time": TIME, "deletion_time": "", "destroyed": False}},
}
LISTED: dict[str, Any] = {"keys": list(NAMES), "key_info": dict.fromkeys(NAMES, RAW)}

Replies = Callable[[Request], Reply]


@pytest.fixture
def server() -> Iterator[Answers]:
    with answers() as made:
        yield made


@pytest.fixture
def vault(server: Answers, tmp_path: Path) -> Iterator[Vault]:
    (tmp_path / "token").write_text("hvs.x")
    auth = TokenFile(str(tmp_path / "token"))
    made = Vault(VaultSettings(address=server.address, auth=auth, max_rps=1e6))
    yield made
    made.close()


def unit() -> Unit:
    (made,) = units_of(KvPath("", "secret", f"shop/{name}") for name in NAMES)
    return made


def replies(listed: Reply | Replies, alone: Reply | None = None) -> Replies:
    """Answer lists so, and everything else with a document."""

    def reply(request: Request) -> Reply:
        if LIST in request.path:
            return listed if isinstance(listed, Reply) else listed(request)
        return alone or Reply(200, {"data": RAW | {"ttl": 0}})

    return reply


_VAULTS_OWN = {
    "request_id": "x",
    "data": None,
    "warnings": ["Invalid path for a versioned K/V secrets engine. See the API docs"],
}

APART: list[tuple[str, Reply, Apart]] = [
    ("hashicorp", Reply(404, _VAULTS_OWN), Apart.NOT_OFFERED),
    ("hashicorp-1.13", Reply(404, {"data": None, "errors": None}), Apart.NOT_OFFERED),
    ("405", Reply(405, {"errors": ["unsupported operation"]}), Apart.NOT_OFFERED),
    ("400", Reply(400, {"errors": ["unsupported path"]}), Apart.NOT_OFFERED),
    ("403", Reply(403, {"errors": ["permission denied"]}), Apart.NOT_GRANTED),
    ("404-nothing", Reply(404, {"errors": []}), Apart.COSTLIER),
    ("404-mount", Reply(404, {"errors": ["no handler for route"]}), Apart.NO_ANSWER),
    ("404-proxy", Reply(404, b"<html>not found</html>"), Apart.NO_ANSWER),
    ("502-proxy", Reply(502, b"<html>too long</html>"), Apart.NO_ANSWER),
    ("429-list", Reply(429, {"errors": ["quota"]}), Apart.NO_ANSWER),
    ("200-html", Reply(200, b"<html>sign in</html>"), Apart.NO_ANSWER),
    ("200-cut", Reply(200, b'{"data": {"keys": ["a"', length=4000), Apart.NO_ANSWER),
    ("200-no-data", Reply(200, {"data": None}), Apart.NO_ANSWER),
    ("200-names-only", Reply(200, {"data": {"keys": ["a", "b"]}}), Apart.NO_ANSWER),
    ("200-empty", Reply(200, {"data": {"keys": [], "key_info": {}}}), Apart.COSTLIER),
    ("200-list", Reply(200, []), Apart.NO_ANSWER),
    ("200-odd-names", Reply(200, {"data": {"keys": [1], "key_info": {}}}), Apart.NO_ANSWER),
    ("200-odd-info", Reply(200, {"data": {"keys": ["a"], "key_info": 5}}), Apart.NO_ANSWER),
]


@pytest.mark.parametrize(("reply", "why"), [row[1:] for row in APART], ids=[r[0] for r in APART])
def test_a_folder_that_is_not_to_be_had_falls_apart(
    server: Answers, vault: Vault, reply: Reply, why: Apart
) -> None:
    """Nothing is concluded of any path; each can be looked at alone."""
    server.reply = replies(reply)
    made = unit()
    assert look_at(vault, made, patient=False) == why
    assert not made.pages
    for source in made:
        assert isinstance(look_at(vault, Unit((source,)), patient=False), dict)


def test_where_vault_is_away_all_of_the_unit_is(server: Answers, vault: Vault) -> None:
    """One path is asked for besides, and no more."""
    away = Reply(503, {"errors": ["Vault is sealed"]}, {"Retry-After": "7"})
    server.reply = replies(away, away)
    seen = look_at(vault, unit(), patient=False)
    assert isinstance(seen, dict)
    assert len(seen) == len(NAMES)
    for found in seen.values():
        assert isinstance(found, Unreadable)
        assert (found.reason, found.everywhere) == (Reason.VAULT_UNREACHABLE, True)
    assert len(server.asked("/secret/")) <= 2


def test_where_our_token_is_dead_all_of_the_unit_is_refused(server: Answers, vault: Vault) -> None:
    denied = Reply(403, {"errors": ["permission denied"]})
    server.reply = replies(denied, denied)
    seen = look_at(vault, unit(), patient=False)
    assert isinstance(seen, dict)
    reasons = {found.reason for found in seen.values() if isinstance(found, Unreadable)}
    assert reasons == {Reason.LOGIN_REFUSED}


JUNK: tuple[Any, ...] = (
    None,
    5,
    "x",
    [],
    {},
    RAW | {"created_time": "today"},
    RAW | {"versions": {"x": RAW}},
)


@pytest.mark.parametrize("junk", JUNK)
def test_a_document_that_is_not_understood_is_asked_for_alone(
    server: Answers, vault: Vault, junk: Any
) -> None:
    """I8: the others are seen, and the look at that path alone says what is wrong with it."""
    info = LISTED["key_info"] | {"b": junk}
    for alone, expected in ((None, KvDocument), (Reply(200, {"data": {"x": 1}}), Unreadable)):
        server.reply = replies(Reply(200, {"data": LISTED | {"key_info": info}}), alone)
        made = unit()
        for _ in range(2):
            server.requests.clear()
            seen = look_at(vault, made, patient=False)
            assert isinstance(seen, dict)
            kinds = {source.place: type(found) for source, found in seen.items()}
            others = dict.fromkeys(("shop/a", "shop/c", "shop/d"), KvDocument)
            assert kinds == others | {"shop/b": expected}
            assert [r.path for r in server.asked("/metadata/")] == ["/v1/secret/metadata/shop/b"]


def test_a_server_that_does_not_part_its_lists_is_asked_once(
    server: Answers, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes over `limit` and `after`, and always lists everything."""
    for page in (2, 3, 4, 500):
        monkeypatch.setattr("bridge.servers.vault.folders.PAGE", page)
        server.requests.clear()
        server.reply = replies(Reply(200, {"data": LISTED}))
        seen = look_at(vault, unit(), patient=False)
        assert isinstance(seen, dict)
        assert len(seen) == len(NAMES)
        assert len(server.asked(LIST)) == 1


def test_a_list_that_never_moves_on_ends(
    server: Answers, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.servers.vault.folders.PAGE", 2)
    first = {"keys": ["a", "b"], "key_info": {"a": RAW, "b": RAW}}
    server.reply = replies(Reply(200, {"data": first}))
    assert look_at(vault, unit(), patient=False) == Apart.COSTLIER
    assert len(server.asked(LIST)) == 2


def test_our_requests_own_id_is_no_change_and_all_else_is(server: Answers, vault: Vault) -> None:
    ids = iter("123456")

    def listed(_request: Request) -> Reply:
        return Reply(200, {"request_id": next(ids), "data": LISTED})

    server.reply = replies(listed)
    made = unit()
    look_at(vault, made, patient=False)
    (before,) = made.pages.values()
    look_at(vault, made, patient=False)
    (same,) = made.pages.values()
    assert same is before
    changed = LISTED | {"key_info": LISTED["key_info"] | {"d": RAW | {"current_version": 2}}}
    server.reply = replies(Reply(200, {"request_id": "7", "data": changed}))
    seen = look_at(vault, made, patient=False)
    assert isinstance(seen, dict)
    assert [found.current for found in seen.values()] == [1, 1, 1, 2]


def test_a_list_is_asked_for_from_just_before_the_first_name(server: Answers, vault: Vault) -> None:
    server.reply = replies(Reply(200, {"data": LISTED}))
    look_at(vault, unit(), patient=False)
    (asked,) = server.asked(LIST)
    query = parse_qs(urlsplit(asked.path).query)
    assert query["list"] == ["true"]
    assert "Z" < query["after"][0] < "a"
