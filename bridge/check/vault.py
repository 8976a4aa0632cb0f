"""Can Vault be reached, and does it grant what the configuration needs?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bridge.check.contents import check_contents
from bridge.check.folder_lists import check_folders, check_period
from bridge.check.lease_roles import check_leases
from bridge.errors import Exit, VaultError, VaultRefused
from bridge.model.desired import Desired
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.reasons import Reason
from bridge.model.settings import Auth, Settings
from bridge.model.source import Source
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import Document, Unreadable
from bridge.observe_vault import look_at_vault
from bridge.report.policy import LOOKUP_SELF, NAME, needed_lease_rules, own_rules, rules_for
from bridge.report.status import CREDENTIAL_SOON
from bridge.servers.vault import Vault
from bridge.sources.kind import keys_of
from bridge.sources.kinds import kind_of
from bridge.sources.units import Units


def check_vault(
    vault: Vault, desired: Desired, settings: Settings, now: float, *, values: bool = False
) -> Iterator[Finding]:
    """Report on the server, on our token, and on each path and role that is configured.

    Args:
        values: Read each current value once, and judge it.
    """
    address, ca_file = settings.vault.address, settings.vault.ca_file
    if ca_file and address.startswith("https://") and not Path(ca_file).exists():
        message = f"there is no file {ca_file}: correct the path, or put the CA's certificate there"
        yield Finding(Level.ERROR, "vault.ca_file", message, Exit.UNREACHABLE)
        return
    try:
        health = vault.health()
        if health.get("sealed"):
            yield Finding(Level.ERROR, "vault", f"{address} is sealed: unseal it", Exit.UNREACHABLE)
            return
        vault.login()
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    units = Units(desired.sources)
    view = look_at_vault(vault, units, now)
    unreadable = [seen for seen in view.paths.values() if isinstance(seen, Unreadable)]
    away = [seen.message for seen in unreadable if seen.away]
    if away and len(away) == len(view.paths):
        yield Finding(Level.ERROR, "vault", away[0], Exit.UNREACHABLE)
        return
    yield Finding(Level.OK, "vault", f"{address} answers and takes our credential")
    yield from _check_own_token(vault, settings.vault.auth)
    yield from _check_credential(vault, now)
    for source, seen in view.paths.items():
        yield from _check_source(vault, source, seen, desired, now)
    yield from check_contents(vault, view, desired, now, values=values)
    yield from check_folders(units, view)
    yield from check_period(len(desired.sources), len(units.at(now)), settings)
    if needed_lease_rules(desired, settings.vault):
        yield from check_leases(vault, desired, settings.vault)


def _check_source(
    vault: Vault, source: Source, seen: Document | Unreadable, desired: Desired, now: float
) -> Iterator[Finding]:
    if isinstance(seen, Unreadable):
        yield _trouble(source, keys_of(source, desired), seen, desired)
    else:
        yield from kind_of(source).check(vault, source, seen, desired, now)


def _trouble(source: Source, where: str, seen: Unreadable, desired: Desired) -> Finding:
    """Report on a path or role that cannot be read.

    Args:
        where: Keys of the secrets that are made from it; empty where none is.
    """
    if not where and seen.reason == Reason.PATH_MISSING:
        message = f"{seen.message}; writing it asks for the first rotation"
        return Finding(Level.NOTE, _keys_beside(source, desired), message)
    message = f"{seen.reason}: {seen.message}"
    if seen.reason == Reason.PERMISSION_DENIED:
        message += to_grant(*rules_for(source)[: None if where else 1])
    return Finding(Level.ERROR, where or _keys_beside(source, desired), message, Exit.HELD)


def _keys_beside(source: Source, desired: Desired) -> str:
    """Name the keys of what no secret is made from: paths of requests, and roles of pipelines."""
    keys = {
        f"secrets.{secret.name}.{key}": place
        for secret in desired.secrets
        for key, place in (
            ("lease.rotate_on", secret.lease.rotate_on),
            ("kv.lease", secret.content.lease.role if secret.content.lease else None),
        )
    }
    return ", ".join(key for key, place in keys.items() if place == source)


def _check_own_token(vault: Vault, auth: Auth) -> Iterator[Finding]:
    try:
        if not vault.may_look_at_itself():
            message = "our token may not look itself up: a forbidden path looks like a dead token"
            yield Finding(Level.WARNING, "vault", message + to_grant(LOOKUP_SELF))
        rules = [rule for rule in own_rules(auth, vault.role or NAME) if rule != LOOKUP_SELF]
        granted = vault.capabilities([rule.path for rule in rules])
    except VaultRefused:
        return  # reported by the check of each path
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    for rule in rules:
        if not rule.is_granted_by(granted[rule.path]):
            message = f"our token lacks what is needed to {rule.why}"
            yield Finding(Level.WARNING, "vault", message + to_grant(rule))


def _check_credential(vault: Vault, now: float) -> Iterator[Finding]:
    try:
        ends = vault.credential_end()
    except VaultError:
        return  # reported above
    if ends is not None and ends - now < CREDENTIAL_SOON:
        message = f"our secret id ends at {timestamp(ends)}: put a fresh one into its file"
        yield Finding(Level.WARNING, "vault", message)
