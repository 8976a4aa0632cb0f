"""Whether evidence can be written and signed where the bridge runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bridge.errors import Exit, VaultError
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.settings import Settings
from bridge.report.policy import signing_rules
from bridge.servers.vault import Vault


def check_audit(vault: Vault, settings: Settings) -> Iterator[Finding]:
    """Report whether the audit file can be written, and whether Vault would sign the evidence.

    Nothing is written, and nothing is signed.
    """
    audit = settings.audit
    if audit is None:
        return
    if audit.file:
        yield _file(audit.file)
    rules = signing_rules(settings.vault)
    if not rules:
        return
    try:
        granted = vault.capabilities([rule.path for rule in rules])
    except VaultError as error:
        yield Finding(Level.WARNING, "audit.transit", str(error), error.exit_code)
        return
    missing = [rule for rule in rules if not rule.is_granted_by(granted[rule.path])]
    for rule in missing:
        message = f"our token may not use {rule.path}{to_grant(rule)}"
        yield Finding(Level.ERROR, "audit.transit", message, Exit.HELD)
    if not missing:
        yield Finding(Level.OK, "audit.transit", f"Vault may be asked for {rules[0].path}")


def _file(name: str) -> Finding:
    file = Path(name)
    place = file if file.exists() else file.parent
    if not place.exists():
        words = f"the folder {file.parent} is not there: make it, for the bridge's user"
    elif not os.access(place, os.W_OK):
        words = f"this account may not write {place}; the bridge's user has to"
    else:
        return Finding(Level.OK, "audit.file", f"{place} can be written")
    return Finding(Level.WARNING, "audit.file", words)
