"""Can the old and the new password of static roles be valid together?"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.errors import Exit
from bridge.model.desired import Desired
from bridge.model.findings import Finding, Level
from bridge.model.leased import StaticDocument
from bridge.sources.lives import OUTAGE, span
from bridge.sources.static.source import StaticRoles


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
                    f"Vault rotates {name} each {span(role.period)} by itself, before"
                    f" lease.rotate_every ({span(rules.rotate_every or 0)}): the password in use"
                    " would end in between; set its `rotation_period` much higher"
                )
            elif role.period and left < 2 * timeout + OUTAGE:
                message = (
                    f"Vault rotates {name} each {span(role.period)} by itself, and {span(left)}"
                    " of that (lease.rotate_before) are too little for two rolls and an outage:"
                    " set its `rotation_period` much higher"
                )
            else:
                period = f"each {span(role.period)}" if role.period else "by a schedule"
                message = f"{name}: Vault rotates it {period} by itself, the bridge before that"
                yield Finding(Level.OK, where, message)
                continue
            yield Finding(Level.ERROR, where, message, Exit.HELD)
