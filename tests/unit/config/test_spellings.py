"""Spellings that do no harm are taken, and others are answered with what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.config import Configuration, load
from bridge.errors import ConfigError
from bridge.model.settings import AppRole, TokenFile
from bridge.model.window import Window
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles

_KV = {"mount": "secret", "path": "apps/db", "field": "password"}


def _document(place: str, written: Any) -> dict[str, Any]:
    """Return a configuration that is whole, but for what is written at a place."""
    document: dict[str, Any] = {
        "vault": {
            "address": "https://vault:8200",
            "auth": {"method": "approle", "role_id_file": "/r", "secret_id_file": "/s"},
            "custody": {"token_role": "bridge"},
        },
        "secrets": {
            "kv": {"kv": dict(_KV), "services": {"api": {"target": "kv"}}},
            "database": {"database": {"mount": "database", "role": "shop"}, "format": "json"},
            "static": {"static": {"mount": "database", "roles": ["a", "b"]}, "format": "json"},
        },
    }
    *above, last = place.split(".")
    part = document
    for key in above:
        part = part.setdefault(key, {})
    part[last] = written
    return document


class Read:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, place: str, written: Any) -> Configuration:
        self.file.write_text(yaml.safe_dump(_document(place, written)))
        return load(str(self.file), {})

    def refused(self, place: str, written: Any) -> str:
        """Return the one complaint, without the file."""
        with pytest.raises(ConfigError) as raised:
            self(place, written)
        (problem,) = raised.value.problems
        return f"{problem.key}: {problem.message}"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path / "bridge.yaml")


@pytest.mark.parametrize(
    ("place", "plain", "spellings"),
    [
        ("vault.address", "https://vault:8200", ["https://vault:8200/", " https://vault:8200\n"]),
        ("vault.namespace", "team1/shop", ["team1/shop/", "/team1/shop", "team1/shop\n"]),
        ("vault.auth.mount", "approle", ["approle/", "auth/approle", "auth/approle/", "/approle"]),
        ("vault.max_rps", 50, ["50", "50.0"]),
        (
            "docker.host",
            "unix:///run/x.sock",
            ["/run/x.sock", "unix:/run/x.sock", "UNIX:///run/x.sock"],
        ),
        ("rollout.bake", "90s", ["90 s", "1m30s", "1m 30s", "1 m 30 s", " 90s ", "1.5m"]),
        ("rollout.timeout", "90m", ["1h30m", "1h 30m", "1.5 h"]),
        ("rollout.max_in_flight", 2, ["2", " 2 "]),
        ("retain.versions", 3, ["3"]),
        ("limits.max_services", 20, ["20"]),
        ("secrets.kv.kv.mount", "secret", ["secret/", "/secret", "/secret/", "secret\n"]),
        ("secrets.kv.kv.path", "apps/db", ["/apps/db", "apps/db/", "/apps/db/", "apps/db\n"]),
        ("secrets.database.database.mount", "database", ["database/", "/database"]),
        ("secrets.static.static.mount", "database", ["database/", "/database"]),
        ("secrets.database.lease.rotate_before", "33%", ["33 %", " 33% "]),
        ("secrets.kv.services.api.mode", "0400", ["0o400", " 0400 "]),
        ("secrets.kv.services.api.uid", "1000", [" 1000 ", "1000\n"]),
    ],
)
def test_a_spelling_that_does_no_harm_is_taken(
    read: Read, place: str, plain: Any, spellings: list[Any]
) -> None:
    wanted = read(place, plain)
    for written in spellings:
        found = read(place, written)
        assert (found.desired, found.settings) == (wanted.desired, wanted.settings)


def test_what_is_asked_of_vault_has_no_slash_at_its_ends(read: Read) -> None:
    """Vault lists mounts and namespaces as ``secret/`` and ``team1/``."""
    found = read("secrets", {
        "a": {"kv": {**_KV, "mount": "kv/", "path": "/a/", "lease": {
            "id_field": "i", "accessor_field": "t", "mount": "db/", "role": "r"}}},
        "b": {"database": {"mount": "db/", "role": "r"}, "format": "json",
              "lease": {"rotate_on": {"mount": "kv/", "path": "/b"}}},
        "c": {"static": {"mount": "db/", "roles": ["r"]}, "format": "json"},
    })  # fmt: skip
    a, b, c = found.desired.secrets
    assert a.source == KvPath("", "kv", "a")
    assert a.content.lease
    assert a.content.lease.role == b.source == DatabaseRole("", "db", "r")
    assert b.lease.rotate_on == KvPath("", "kv", "b")
    assert c.source == StaticRoles("", "db", ("r",))
    auth = read("vault.auth.mount", "auth/approle/").settings.vault.auth
    assert isinstance(auth, AppRole)
    assert auth.mount == "approle"


def test_two_spellings_of_one_role_are_one(read: Read) -> None:
    """Else one would be rotated while the other is used."""
    static = {"static": {"mount": "/database/", "roles": ["b", "c"]}, "format": "json"}
    assert "has the role b too" in read.refused("secrets.other", static)


def test_a_host_without_tls_needs_a_word_however_it_is_spelt(read: Read) -> None:
    for host in ("tcp://m:2375", "TCP://m:2375", " tcp://m:2375/"):
        assert "plaintext: true" in read.refused("docker.host", host)


@pytest.mark.parametrize(
    ("place", "written", "remedy"),
    [
        ("vault.address", "vault:8200", "begins with https://"),
        ("vault.address", "https://vault:8200/v1", "leave out the path"),
        ("vault.address", "https://vault:8200/ui/", "leave out the path"),
        ("vault.address", "https://me@vault:8200", "leave out"),
        ("vault.namespace", "a//b", "doubled"),
        ("vault.auth.method", "AppRole", "approle"),
        ("vault.custody.token_role", "auth/token/roles/bridge", "alone"),
        ("docker.host", "http://m:2375", "tcp://"),
        ("docker.host", "tcp://m", "port"),
        ("docker.plaintext", "true", "without quotes"),
        ("rollout.bake", 30, "30s"),
        ("rollout.bake", "30", "30s"),
        ("rollout.bake", "1 week", "90d"),
        ("rollout.max_in_flight", "two", "a whole number"),
        ("rollout.on_failure", "All", "service"),
        ("secrets.kv.kv.path", "apps//db", "doubled"),
        ("secrets.kv.kv.path", "apps/../db", "`..`"),
        ("secrets.kv.format", "JSON", "json"),
        ("secrets.kv.decode", "Base64", "base64url"),
        ("secrets.kv.services", ["api"], "`shop_api: {}`"),
        ("secrets.kv.services.api.mode", 400, "leading zero"),
        ("secrets.kv.services.api.uid", 1000, "in quotes"),
        ("secrets.kv.services.api.target", "kv/", "file name"),
        ("secrets.database.database.role", "creds/shop", "alone"),
        ("secrets.database.lease.rotate_before", 0.33, "33%"),
        ("secrets.static.static.roles", ["static-creds/a"], "alone"),
        ("secrets.kv.kv", {**_KV, "lease": {"id_field": "i", "accessor_field": "a",
                           "mount": "database", "role": "creds/shop"}}, "alone"),
    ],
)  # fmt: skip
def test_another_spelling_is_answered_with_what_to_write(
    read: Read, place: str, written: Any, remedy: str
) -> None:
    problem = read.refused(place, written)
    key, _, message = problem.partition(": ")
    assert key.startswith(place) or place.startswith(key)
    assert remedy in message


@pytest.mark.parametrize(
    "allow",
    [
        "Mon-Fri 22:00-04:00",
        "mon-FRI  22:00-04:00",
        "Mon - Fri 22:00 - 04:00",
        "Mon\u2013Fri 22:00\u201304:00",
        "Monday-Friday 22:00-04:00",
        "Mon, Tue, Wednesday,Thu-Fri 22:00-4:00",
    ],
)
def test_a_window_is_written_as_people_do(allow: str) -> None:
    assert Window.read(allow) == Window(frozenset(range(5)), 22 * 60, 4 * 60)


@pytest.mark.parametrize("allow", ["Mo-Fr 22:00-04:00", "Monkey 22:00-04:00", "M 1:00-2:00"])
def test_what_is_no_day_is_answered_with_the_days(allow: str) -> None:
    with pytest.raises(ValueError, match="Mon, Tue"):
        Window.read(allow)


_SECRET = """\
vault: {address: "https://vault:8200", auth: {method: token, token_file: /t}}
secrets:
  db:
    kv: {mount: secret, path: apps/db}
"""


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (f"{_SECRET}    template: {{{{ c4n4ry }}}}\n", "in quotes"),
        (f"{_SECRET}    template: {{{{ a }}}}:c4n4ry\n", "in quotes"),
        (f"{_SECRET}    template: c4n4ry: {{{{ a }}}}\n", "in quotes"),
        (
            f'{_SECRET}    template: "{{{{ fields["c4n4ry"] }}}}"\n',
            "in quotes that it does not have",
        ),
        (f"{_SECRET}\tformat: json\n", "a tab"),
    ],
)
def test_what_is_no_yaml_is_answered_with_what_is(read: Read, text: str, remedy: str) -> None:
    read.file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(str(read.file), {})
    problem = raised.value.problems[0]
    assert problem.line == 5
    assert remedy in problem.message
    assert "c4n4ry" not in str(raised.value)


def test_a_file_in_somebody_s_home_is_named_as_a_shell_takes_it(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    auth = {"method": "token", "token_file": "~/.vault-token"}
    assert read("vault.auth", auth).settings.vault.auth == TokenFile("/home/me/.vault-token")
