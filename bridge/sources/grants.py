"""Is granted what a source needs?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bridge.errors import Exit, VaultError, VaultRefused
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.rule import Rule

if TYPE_CHECKING:
    from bridge.servers.vault import Vault


def check_rules(vault: Vault, where: str, rules: tuple[Rule, ...]) -> Iterator[Finding]:
    """Report each right that our token needs and does not have."""
    try:
        granted = vault.capabilities([rule.path for rule in rules])
    except VaultRefused:
        return
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    for rule in rules:
        if not rule.is_granted_by(granted[rule.path]):
            message = f"our token may not {rule.why}"
            yield Finding(Level.ERROR, where, message + to_grant(rule), Exit.HELD)
