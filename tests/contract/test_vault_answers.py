"""What answers of Vault mean, also those that no server here gives by itself: a small one does."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bridge.errors import LoginRefused, VaultError, VaultRefused, VaultUnreachable
from bridge.model.reasons import Reason
from bridge.model.settings import AppRole, Auth, Custody, TokenFile, VaultSettings
from bridge.model.source import Source
from bridge.servers.vault import Vault
from bridge.sources.kv.source import KvPath
from tests.support.answers import Answers, Reply, Request, answers
from tests.support.fakes import Clock

PATH = KvPath("", "secret", "shop/db")
PLACE = "/v1/secret/metadata/shop/db"
TOKEN = "hvs.c4n4ry"


@pytest.fixture
def server() -> Iterator[Answers]:
    with answers() as made:
        yield made


def session(
    server: Answers,
    folder: Path,
    auth: Auth | None = None,
    clock: Any = None,
    custody: Custody | None = None,
) -> Vault:
    """Return a session that has a token from a file, or another login."""
    (folder / "token").write_text(TOKEN)
    settings = VaultSettings(
        address=server.address,
        auth=auth or TokenFile(str(folder / "token")),
        max_rps=1e6,
        custody=custody,
    )
    return Vault(settings, clock) if clock else Vault(settings)


def always(reply: Reply) -> Any:
    """Answer everything alike, but for the look at the token itself."""

    def replied(request: Request) -> Reply:
        if request.path.endswith("lookup-self"):
            return Reply(200, {"data": {"ttl": 0}})
        return reply

    return replied


def no_answer() -> None:
    raise ConnectionError


def said(error: VaultError) -> str:
    """Return what a user would read, which never has our token."""
    assert TOKEN not in str(error)
    return str(error)


TRANSIENT: list[tuple[str, Reply, bool, int]] = [
    ("429", Reply(429, {"errors": ["rate limit quota exceeded"]}), True, 3),
    ("429-soon", Reply(429, {"errors": []}, {"Retry-After": "0"}), True, 3),
    ("429-later", Reply(429, {"errors": []}, {"Retry-After": "30"}), True, 1),
    ("412-behind", Reply(412, {"errors": ["not caught up"]}), True, 3),
    ("472-standby", Reply(472, {"errors": []}), True, 3),
    ("473-standby", Reply(473, {"errors": []}), True, 3),
    ("500-no-leader", Reply(500, {"errors": ["local node not active"]}), False, 3),
    ("502-proxy", Reply(502, b"<html>bad gateway</html>"), False, 3),
    ("503-sealed", Reply(503, {"errors": ["Vault is sealed"]}), True, 3),
    ("504-proxy", Reply(504, b""), False, 3),
    ("200-html", Reply(200, b"<html>sign in</html>"), False, 3),
    ("200-truncated", Reply(200, b'{"data": {"vers', length=4000), True, 3),
    ("closed", Reply(before=no_answer), True, 3),
    (
        "400-upgrade",
        Reply(400, {"errors": ["It will be unavailable for a brief period"]}),
        False,
        3,
    ),
    ("redirect", Reply(307, b"", {"Location": "https://elsewhere/v1/x"}), True, 3),
]


@pytest.mark.parametrize(
    ("reply", "everywhere", "tries"), [row[1:] for row in TRANSIENT], ids=[r[0] for r in TRANSIENT]
)
def test_what_passes_by_itself_is_read_again_and_then_left(
    server: Answers, tmp_path: Path, reply: Reply, everywhere: bool, tries: int
) -> None:
    server.reply = always(reply)
    vault = session(server, tmp_path)
    with pytest.raises(VaultUnreachable) as raised:
        vault.kv.metadata(PATH)
    said(raised.value)
    assert raised.value.everywhere == everywhere
    assert raised.value.retry_after == float(reply.headers.get("Retry-After", "0"))
    assert len(server.asked(PLACE)) == tries
    server.requests.clear()
    with pytest.raises(VaultUnreachable):
        vault.kv.metadata(PATH, patient=False)
    assert len(server.asked(PLACE)) == 1
    vault.close()


@pytest.mark.parametrize("body", [[], "x", 5, None, {"data": None}, {"data": []}, {}])
def test_json_that_is_not_vaults_is_no_answer(
    server: Answers, tmp_path: Path, body: object
) -> None:
    server.reply = always(Reply(200, body))
    vault = session(server, tmp_path)
    with pytest.raises(VaultUnreachable, match="not understood"):
        vault.kv.metadata(PATH)
    with pytest.raises(VaultUnreachable, match="not understood"):
        vault.kv.read_version(PATH, 1)
    vault.close()


REFUSED: list[tuple[str, Reply, Reason]] = [
    ("404", Reply(404, {"errors": []}), Reason.PATH_MISSING),
    ("mount", Reply(404, {"errors": ["no handler for route"]}), Reason.MOUNT_MISSING),
    ("namespace", Reply(404, {"errors": ["namespace not found"]}), Reason.NAMESPACE_MISSING),
    ("403", Reply(403, {"errors": ["permission denied"]}), Reason.PERMISSION_DENIED),
    ("400", Reply(400, {"errors": ["what?"]}), Reason.VAULT_REFUSED),
    ("405", Reply(405, {"errors": ["unsupported operation"]}), Reason.VAULT_REFUSED),
]


@pytest.mark.parametrize(
    ("reply", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_concerns_one_path_is_not_asked_again(
    server: Answers, tmp_path: Path, reply: Reply, reason: Reason
) -> None:
    server.reply = always(reply)
    vault = session(server, tmp_path)
    with pytest.raises(VaultRefused) as raised:
        vault.kv.metadata(PATH)
    assert raised.value.reason == reason
    assert len(server.asked(PLACE)) == 1
    vault.close()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {"errors": ["permission denied"]}), Reason.PERMISSION_DENIED),
        (Reply(404, {"errors": []}), Reason.PATH_MISSING),
        (Reply(404, {"errors": ["no handler for route x"]}), Reason.MOUNT_MISSING),
        (Reply(400, {"errors": ["no such thing"]}), Reason.VAULT_REFUSED),
    ],
)
@pytest.mark.parametrize("writes", [False, True])
def test_a_kind_that_has_no_reader_of_its_own_gets_the_errors_of_all(
    server: Answers, tmp_path: Path, reply: Reply, reason: Reason, writes: bool
) -> None:
    """Any other would end the look at all paths (I8)."""
    server.reply = always(reply)
    with closing(session(server, tmp_path)) as vault:
        with pytest.raises(VaultRefused) as raised:
            vault.write(PATH, "engine/a b", {}) if writes else vault.read(PATH, "engine/a b")
        assert raised.value.reason == reason
        assert len(server.asked("/v1/engine/a%20b")) == 1


def test_a_kind_that_has_no_reader_of_its_own_reads_and_writes(
    server: Answers, tmp_path: Path
) -> None:
    server.reply = always(Reply(200, {"data": {"a": 1}}))
    with closing(session(server, tmp_path)) as vault:
        assert vault.read(PATH, "engine/x") == {"a": 1}
        assert vault.write(PATH, "engine/x", {}) == {"a": 1}
        server.reply = always(Reply(204))
        assert vault.write(PATH, "engine/x", {}) == {}
    assert [request.method for request in server.asked("engine/x")] == ["GET", "POST", "POST"]


@dataclass(frozen=True, slots=True)
class _User(Source):
    """A credential of another engine than that of databases."""

    leased: ClassVar[bool] = True

    namespace: str
    mount: str
    user: str

    __str__ = Source.__str__

    @property
    def place(self) -> str:
        return f"sts/{self.user}"

    @property
    def label(self) -> dict[str, object]:
        return {"user": self.user}

    @classmethod
    def from_label(cls, namespace: str, mount: str, label: Mapping[str, Any]) -> Source | None:
        return cls(namespace, mount, str(label["user"])) if "user" in label else None

    @property
    def lease_prefix(self) -> str:
        return f"{self.mount}/{self.place}/"


def test_a_credential_of_any_engine_is_issued_with_a_custody(
    server: Answers, tmp_path: Path
) -> None:
    def reply(request: Request) -> Reply:
        if request.path.endswith("/v1/auth/token/create/held"):
            return Reply(200, {"auth": {"client_token": "custody", "accessor": "accessor"}})
        if request.path.endswith("/v1/cloud/sts/app"):
            assert request.headers["X-Vault-Token"] == "custody"
            return Reply(200, {"lease_id": "cloud/sts/app/1", "data": {"key": "k"}})
        if request.path.endswith("lookup-self"):
            return Reply(200, {"data": {"ttl": 0}})
        assert request.path.endswith("sys/leases/lookup")
        return Reply(200, {"data": {"issue_time": "2026-11-01T00:00:00Z"}})

    server.reply = reply
    with closing(session(server, tmp_path, custody=Custody("held", 600.0))) as vault:
        issued = vault.leases.issue(_User("", "cloud", "app"), {})
    assert (issued.lease, issued.accessor) == ("cloud/sts/app/1", "accessor")
    assert issued.fields == {"key": "k"}


def test_a_proxys_404_is_no_deletion(server: Answers, tmp_path: Path) -> None:
    server.reply = always(Reply(404, b"<html>not found</html>", {"Content-Type": "text/html"}))
    vault = session(server, tmp_path)
    with pytest.raises(VaultUnreachable, match="proxy"):
        vault.kv.metadata(PATH)
    with pytest.raises(VaultUnreachable, match="proxy"):
        vault.kv.read_version(PATH, 1)
    vault.close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_never_carries_the_token_away(
    server: Answers, tmp_path: Path, status: int
) -> None:
    with answers() as elsewhere:
        place = f"{elsewhere.address}/v1/x?token=whatever"
        server.reply = lambda _request: Reply(status, b"", {"Location": place})
        vault = session(server, tmp_path)
        with pytest.raises(VaultUnreachable) as raised:
            vault.kv.metadata(PATH)
        assert f"redirects to {elsewhere.address}:" in said(raised.value)
        assert "whatever" not in str(raised.value)
        assert elsewhere.requests == []
        vault.close()


def test_a_server_that_hangs_is_not_asked_again_at_once(
    server: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.servers.vault.http.TIMEOUT", (1.0, 0.2))
    over = threading.Event()

    def hang() -> None:
        over.wait(30)

    server.reply = always(Reply(200, {}, before=hang))
    vault = session(server, tmp_path)
    with pytest.raises(VaultUnreachable) as raised:
        vault.kv.metadata(PATH)
    assert raised.value.hung
    assert "no answer in time" in said(raised.value)
    assert len(server.asked(PLACE)) == 1
    over.set()
    vault.close()


# --- Logins --------------------------------------------------------------------------------------


def approle(folder: Path, *, wrapped: bool = False) -> AppRole:
    (folder / "role").write_text("role\n")
    (folder / "id").write_text("first\n")
    return AppRole(str(folder / "role"), str(folder / "id"), secret_id_wrapped=wrapped)


def granted(ttl: float = 3600, **more: object) -> Reply:
    auth = {"client_token": TOKEN, "lease_duration": ttl, "renewable": True, **more}
    return Reply(200, {"auth": auth})


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, {"errors": ["x"]}),
        Reply(503, {"errors": ["sealed"]}),
        Reply(404, {"errors": []}),
        Reply(404, b"<html>"),
        Reply(307, b"", {"Location": "http://elsewhere/"}),
        Reply(200, {"auth": None}),
        Reply(200, b"<html>"),
        Reply(before=no_answer),
    ],
)
def test_trouble_with_a_login_says_nothing_of_the_credential_and_is_sent_once(
    server: Answers, tmp_path: Path, reply: Reply
) -> None:
    server.reply = lambda _request: reply
    vault = session(server, tmp_path, approle(tmp_path))
    for number in (1, 2):
        with pytest.raises(VaultUnreachable) as raised:
            vault.login()
        assert "first" not in said(raised.value)
        assert len(server.asked("/login")) == number
    vault.close()


def test_a_refused_credential_waits_for_its_file_or_for_the_lockout(
    server: Answers, tmp_path: Path
) -> None:
    """Four refusals within the window at most, whatever is put into the file."""
    clock = Clock()
    server.reply = lambda _request: Reply(400, {"errors": ["invalid role or secret ID"]})
    vault = session(server, tmp_path, approle(tmp_path), clock)

    def tried() -> int:
        with pytest.raises(LoginRefused) as raised:
            vault.login()
        assert "secret-" not in said(raised.value)
        return len(server.asked("/login"))

    assert [tried() for _ in range(10)][-1] == 1
    clock.now += 961
    assert [tried() for _ in range(3)][-1] == 2
    for number in range(10):
        (tmp_path / "id").write_text(f"secret-{number}")
        clock.now += 1
        tried()
    assert tried() == 5  # four within one window: the fifth would lock the role out
    clock.now += 961
    server.reply = lambda _request: granted()
    vault.login()
    vault.close()


def test_a_token_is_renewed_at_two_thirds_and_replaced_at_nine_tenths(
    server: Answers, tmp_path: Path
) -> None:
    clock = Clock()
    left = [60.0, 60.0, 60.0, 20.0]  # what Vault grants: the last is the end of the token's life

    def reply(request: Request) -> Reply:
        return granted(left.pop(0) if left else 60.0)

    server.reply = reply
    vault = session(server, tmp_path, approle(tmp_path), clock)
    vault.login()
    assert vault.pause == 40
    seen = []
    for _ in range(200):
        clock.now += 1
        before = len(server.requests)
        vault.keep()
        seen += [(clock.now, r.path) for r in server.requests[before:]]
    start = clock.now - 200
    assert [(int(at - start), path.rpartition("/")[2]) for at, path in seen[:4]] == [
        (40, "renew-self"),
        (80, "renew-self"),
        (120, "renew-self"),
        (138, "login"),
    ]
    vault.close()


@pytest.mark.parametrize(
    "trouble", [Reply(503, {"errors": ["sealed"]}), Reply(403, {"errors": []})]
)
def test_trouble_with_a_renewal_ends_in_a_login_and_not_in_a_storm(
    server: Answers, tmp_path: Path, trouble: Reply
) -> None:
    clock = Clock()
    server.reply = lambda r: trouble if r.path.endswith("renew-self") else granted(60)
    vault = session(server, tmp_path, approle(tmp_path), clock)
    vault.login()
    for _ in range(100):
        clock.now += 1
        vault.keep()
    assert len(server.asked("/login")) == 2
    assert 1 <= len(server.asked("renew-self")) <= 6
    vault.close()


def test_a_token_file_read_while_vault_was_away_is_renewed_all_the_same(
    server: Answers, tmp_path: Path
) -> None:
    clock = Clock()
    server.reply = lambda _request: Reply(503, {"errors": ["Vault is sealed"]})
    vault = session(server, tmp_path, clock=clock)
    with pytest.raises(VaultUnreachable):
        vault.kv.metadata(PATH)
    life = {"ttl": 60, "renewable": True}
    server.reply = lambda r: Reply(200, {"data": life}) if "lookup" in r.path else granted(60)
    vault.login()
    assert vault.pause == 40
    clock.now += 41
    vault.keep()
    assert server.asked("renew-self")
    vault.close()


def test_a_files_token_that_cannot_be_renewed_is_waited_for_without_a_spin(
    server: Answers, tmp_path: Path
) -> None:
    clock = Clock()
    server.reply = lambda _request: Reply(200, {"data": {"ttl": 60, "renewable": False}})
    vault = session(server, tmp_path, clock=clock)
    vault.login()
    clock.now += 59
    vault.keep()
    assert vault.pause is None
    vault.close()


def test_a_fresh_id_every_five_minutes_locks_no_role_out(server: Answers, tmp_path: Path) -> None:
    """Vault counts until 15 minutes pass without a refusal, so the window must not slide."""
    clock = Clock()
    server.reply = lambda _request: Reply(400, {"errors": ["invalid role or secret ID"]})
    vault = session(server, tmp_path, approle(tmp_path), clock)
    tries = []
    for minute in range(60):
        clock.now += 60
        if minute % 5 == 0:
            (tmp_path / "id").write_text(f"{minute}")
        before = len(server.requests)
        with pytest.raises(LoginRefused):
            vault.login()
        tries += [minute] * (len(server.requests) - before)
    gaps = [later - former for former, later in itertools.pairwise(tries)]
    assert all(gap >= 16 for gap in gaps[3::4]), tries
    vault.close()


def test_a_fresh_token_in_the_file_is_taken_at_once(server: Answers, tmp_path: Path) -> None:
    server.reply = lambda _request: Reply(200, {"data": {"ttl": 0}})
    vault = session(server, tmp_path)
    vault.login()
    (tmp_path / "token").write_text("fresh")
    vault.keep()
    vault.login()
    assert server.requests[-1].headers["X-Vault-Token"] == "fresh"
    vault.close()


def test_only_a_wrapped_secret_id_of_our_mount_is_opened(server: Answers, tmp_path: Path) -> None:
    paths = ["auth/approle/role/other/secret-id-accessor", "sys/wrapping/wrap", "secret/data/x"]

    def reply(request: Request) -> Reply:
        if request.path.endswith("wrapping/lookup"):
            return Reply(200, {"data": {"creation_path": paths[0]}})
        return Reply(200, {"data": {"secret_id": "opened"}})

    server.reply = reply
    while paths:
        vault = session(server, tmp_path, approle(tmp_path, wrapped=True))
        with pytest.raises(LoginRefused, match="wraps something else"):
            vault.login()
        assert not server.asked("unwrap")
        vault.close()
        paths.pop(0)
