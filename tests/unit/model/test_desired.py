"""What of Vault a configuration is about."""

from __future__ import annotations

from dataclasses import replace

from bridge.model.desired import Content, Format, KvLease
from bridge.sources.kv.source import KvPath
from tests.support.builders import PATH, ROLE, desired_of, leased, wanted

GO = KvPath("", "kv", "go")
OTHER = replace(ROLE, role="other")


def test_each_thing_in_vault_is_looked_at_once_however_many_secrets_need_it() -> None:
    """With the role whose lease a KV version holds, and the path that asks for rotations."""
    holds = Content(format=Format.JSON, lease=KvLease("lease_id", "accessor", ROLE))
    secrets = [
        replace(wanted("db", "api"), content=holds),
        wanted("same", "api"),
        leased("api", name="minted", role=OTHER, rotate_on=GO),
    ]
    assert desired_of(secrets=secrets).sources == (PATH, ROLE, OTHER, GO)
