"""Do leased credentials live long enough for a roll and an outage, and may the bridge keep them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from bridge.check.findings import Finding, Level, to_grant
from bridge.config.values import duration_text
from bridge.decide.credentials.keep import RENEW_AT
from bridge.errors import Exit, VaultError, VaultRefused
from bridge.model.desired import Desired
from bridge.model.leased import RoleDocument, StaticDocument
from bridge.model.settings import VaultSettings
from bridge.model.source import Source
from bridge.report.policy import Rule, needed_lease_rules, token_role_command, token_role_rule
from bridge.servers.vault import Vault
from bridge.sources.static.source import StaticRoles

_MINUTES = 120.0
"""Seconds from which times are written in whole minutes."""

OUTAGE = 900.0
"""Seconds for which Vault or the bridge may be away without a credential's end."""


def check_role(source: Source, role: RoleDocument, desired: Desired) -> Iterator[Finding]:
    """Report whether a role's leases live long enough for a roll and an outage.

    A lease is renewed when two thirds of it are left, so that much is sure to be left at any time.
    When a pipeline makes a new one is not known, so only how long a lease is given is judged there.
    """
    timeout = desired.rollout.timeout
    for secret in desired.secrets:
        lease = secret.content.lease
        pipeline = lease is not None and lease.role == source
        if secret.source != source and not pipeline:
            continue
        where = f"secrets.{secret.name}{'.kv.lease' if pipeline else ''}"
        least = (timeout + OUTAGE) / RENEW_AT
        left = secret.lease.rotate_before * role.max_ttl
        if role.default_ttl < least:
            message = (
                f"leases of {source} live {_time(role.default_ttl)}, and two thirds must outlast"
                f" a roll (rollout.timeout, {_time(timeout)}) and an outage ({_time(OUTAGE)}): set"
                f" the role's `default_ttl` to {_time(least)} or more"
            )
            yield Finding(Level.ERROR, where, message, Exit.HELD)
        elif left < 2 * timeout and not pipeline:
            message = (
                f"a new generation is made when {_time(left)} of {_time(role.max_ttl)} are left"
                f" (lease.rotate_before), which is less than two rolls ({_time(2 * timeout)}): set"
                " the role's `max_ttl` higher, or `rotate_before`"
            )
            yield Finding(Level.ERROR, where, message, Exit.HELD)
        else:
            message = (
                f"{source} gives {_time(role.default_ttl)} at a time, {_time(role.max_ttl)} at most"
            )
            if pipeline:
                message += ": the pipeline must write a new version before that"
            yield Finding(Level.OK, where, message)


def check_static(source: StaticRoles, seen: StaticDocument, desired: Desired) -> Iterator[Finding]:
    """Report whether the old and the new password can be valid together."""
    timeout = desired.rollout.timeout
    for secret in (secret for secret in desired.secrets if secret.source == source):
        where, rules = f"secrets.{secret.name}", secret.lease
        if len(source.roles) == 1:
            message = (
                f"{source.roles[0]} is alone, so its old password ends as its new one is made: new"
                " logins fail until each task is replaced; name a second static role"
            )
            yield Finding(Level.WARNING, where, message)
            continue
        for name, role in seen.roles.items():
            left = rules.rotate_before * role.period
            if role.period and role.period < (rules.rotate_every or 0):
                message = (
                    f"Vault rotates {name} each {_time(role.period)} by itself, before"
                    f" lease.rotate_every ({_time(rules.rotate_every or 0)}): the password in use"
                    " would end in between; set its `rotation_period` much higher"
                )
            elif role.period and left < 2 * timeout + OUTAGE:
                message = (
                    f"Vault rotates {name} each {_time(role.period)} by itself, and {_time(left)}"
                    " of that (lease.rotate_before) are too little for two rolls and an outage:"
                    " set its `rotation_period` much higher"
                )
            else:
                period = f"each {_time(role.period)}" if role.period else "by a schedule"
                message = f"{name}: Vault rotates it {period} by itself, the bridge before that"
                yield Finding(Level.OK, where, message)
                continue
            yield Finding(Level.ERROR, where, message, Exit.HELD)


def _time(seconds: float) -> str:
    return duration_text(float(ceil(seconds / 60) * 60 if seconds > _MINUTES else ceil(seconds)))


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
            f" its lease of {_time(float(own.get('ttl') or 0))}: set `token_period` on the role, or"
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
        if not {*rule.capabilities, "root"} & set(granted[rule.path]):
            message = f"our token may not {rule.why}"
            yield Finding(Level.ERROR, where, message + to_grant(rule), Exit.HELD)
