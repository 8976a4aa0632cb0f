"""What `init --apply` writes, compares and gives up."""

from __future__ import annotations

from pathlib import Path

import pytest
from click import UsageError

from bridge.cli.grant import SECRET_ID, Files, Grant, token_of
from bridge.errors import SwarmUnreachable
from bridge.model.content.payload import Concealed
from bridge.report.vault_writes import VaultWrite
from bridge.servers.vault.admin import Admin, SecretId

WRITE = VaultWrite.of("auth/a/role/r", token_policies="a,b", token_ttl="20m", orphan="true")


def test_it_is_written_as_a_command() -> None:
    said = "vault write auth/a/role/r token_policies=a,b token_ttl=20m orphan=true"
    assert WRITE.command == said


def test_what_vault_keeps_is_compared_with_what_was_written() -> None:
    same = {"token_policies": ["a", "b"], "token_ttl": 1200, "orphan": True, "more": 1}
    assert WRITE.differing(same) == ()
    assert WRITE.differing({**same, "token_ttl": 1201}) == ("token_ttl",)
    assert WRITE.differing({**same, "orphan": False}) == ("orphan",)
    assert WRITE.differing({**same, "token_policies": ["b"]}) == ("token_policies",)
    assert WRITE.differing({}) == ("token_policies", "token_ttl", "orphan")


class _Admin(Admin):
    def __init__(self) -> None:
        self.ended: list[str] = []

    def new_secret_id(self, role: str) -> SecretId:
        return SecretId(Concealed(b"canary"), f"accessor of {role}")

    def end_secret_id(self, role: str, made: SecretId) -> None:
        self.ended.append(made.accessor)


class _Full(Files):
    def put(self, what: str, data: bytes) -> None:
        raise SwarmUnreachable("away")


def test_a_secret_id_that_nobody_got_is_ended() -> None:
    admin = _Admin()
    grant = Grant(
        admin=admin,
        place=_Full({SECRET_ID: Path("/nowhere")}),
        new=(),
        other=(),
        same=(),
        role="auth/a/role/r",
        missing=(SECRET_ID,),
        ca=b"",
    )
    with pytest.raises(SwarmUnreachable):
        grant.carry_out(print)
    assert admin.ended == ["accessor of auth/a/role/r"]


def test_a_token_is_taken_from_where_an_option_says_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "from-the-environment")
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    assert token_of(str(file), "") == "from-a-file"
    assert token_of("", "VAULT_TOKEN") == "from-the-environment"
    file.write_text("canary two\n")
    for given in (("", ""), (str(file), "VAULT_TOKEN"), (str(file), ""), ("", "NOT_SET")):
        with pytest.raises(UsageError) as refused:
            token_of(*given)
        assert "canary" not in str(refused.value)
