"""May the bridge keep leased credentials, and do their custody tokens outlive it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.errors import Exit, VaultError, VaultRefused
from bridge.model.desired import Desired
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.settings import VaultSettings
from bridge.report.policy import needed_lease_rules, token_role_command, token_role_rule
from bridge.servers.vault import Vault
from bridge.sources.grants import check_rules
from bridge.sources.lives import span


def check_leases(vault: Vault, desired: Desired, settings: VaultSettings) -> Iterator[Finding]:
    """Report whether our token may keep leases, and whether custody can outlive it."""
    try:
        own = vault.own_token()
    except VaultRefused:
        return
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    if own.get("type") == "batch":
        message = (
            "our token is a batch token, which makes no other and has no accessor: set"
            " `token_type=service` on the role that we log in with"
        )
        yield Finding(Level.ERROR, "vault", message, Exit.HELD)
    elif settings.custody is None and own and not own.get("period"):
        message = (
            "without `vault.custody` each credential hangs on a login of its own, which ends with"
            f" its lease of {span(float(own.get('ttl') or 0))}: set `token_period` on the role, or"
            " better `vault.custody.token_role`"
        )
        yield Finding(Level.ERROR, "vault", message, Exit.HELD)
    yield from check_rules(vault, "vault", needed_lease_rules(desired, settings))
    if settings.custody:
        yield from _check_token_role(vault, settings)


def _check_token_role(vault: Vault, settings: VaultSettings) -> Iterator[Finding]:
    """Report whether the token role makes tokens that a lease can hang on."""
    where = "vault.custody.token_role"
    rule = token_role_rule(settings)
    try:
        role = vault.leases.token_role()
    except VaultRefused as error:
        yield Finding(Level.WARNING, where, str(error) + (to_grant(rule) if rule else ""))
        return
    except VaultError as error:
        yield Finding(Level.ERROR, where, str(error), Exit.UNREACHABLE)
        return
    for message in token_role_faults(role):
        words = f"{message}: `{token_role_command(settings)}`"
        yield Finding(Level.ERROR, where, words, Exit.HELD)


def token_role_faults(role: Mapping[str, Any] | None) -> list[str]:
    """Return what keeps a lease from hanging on the tokens of a token role.

    A lease ends with the token that made it. So that token must be nobody's child, or it ends with
    its parent; must be renewable, or it ends with its provisional life; and a service token, since
    a batch token has no accessor.

    Args:
        role: Vault's answer; None where there is no such role.
    """
    if role is None:
        return ["there is no such token role"]
    faults = []
    if not role.get("orphan"):
        faults.append("its tokens are no orphans, so each credential ends with the bridge's login")
    if not role.get("renewable", True):
        faults.append("its tokens are not renewable, so each credential ends after minutes")
    if role.get("token_type") not in ("service", "default-service"):
        faults.append("its tokens need not be service tokens, and others have no accessor")
    if not role.get("allowed_policies"):
        faults.append("it allows no policy, so its tokens may make no credential")
    return faults
