"""``check`` reports whether evidence could be written and signed, without doing either."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from bridge.check.audit import check_audit
from bridge.errors import VaultUnreachable
from bridge.model.findings import Level
from bridge.model.settings import (
    AuditSettings,
    DockerSettings,
    Settings,
    TokenFile,
    TransitKey,
    VaultSettings,
)

KEY = TransitKey(mount="transit", key="k")


class _Vault:
    def __init__(self, granted: list[str] | None) -> None:
        self.granted = granted

    def capabilities(self, paths: list[str]) -> dict[str, list[str]]:
        if self.granted is None:
            raise VaultUnreachable("no answer")
        return dict.fromkeys(paths, self.granted)


def _found(
    audit: AuditSettings | None, granted: list[str] | None = None
) -> list[tuple[Level, str, str]]:
    vault = VaultSettings(
        address="http://v", auth=TokenFile(""), transit=audit.transit if audit else None
    )
    settings = Settings(vault=vault, docker=DockerSettings("unix:///d"), audit=audit)
    found = check_audit(cast("Any", _Vault(granted)), settings)
    return [(each.level, each.where, each.message) for each in found]


def test_the_file(tmp_path: Path) -> None:
    assert _found(None) == []
    ((level, where, _),) = _found(AuditSettings(str(tmp_path / "audit.jsonl")))
    assert (level, where) == (Level.OK, "audit.file")
    ((level, _, message),) = _found(AuditSettings(str(tmp_path / "none" / "audit.jsonl")))
    assert level == Level.WARNING
    assert "is not there" in message


@pytest.mark.parametrize(
    ("granted", "levels"),
    [
        (["update"], [Level.OK]),
        (["deny"], [Level.ERROR, Level.ERROR]),
        (None, [Level.WARNING]),
    ],
)
def test_the_key(granted: list[str] | None, levels: list[Level]) -> None:
    found = _found(AuditSettings(transit=KEY), granted)
    assert [level for level, _, _ in found] == levels
    if granted == ["deny"]:
        assert "transit/sign/k" in found[0][2]
