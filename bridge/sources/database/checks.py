"""Do the leases of a role live long enough for a roll and an outage?"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.decide.credentials.keep import RENEW_AT
from bridge.errors import Exit
from bridge.model.desired import Desired
from bridge.model.findings import Finding, Level
from bridge.model.leased import RoleDocument
from bridge.model.source import Source
from bridge.sources.lives import OUTAGE, span


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
                f"leases of {source} live {span(role.default_ttl)}, and two thirds must outlast"
                f" a roll (rollout.timeout, {span(timeout)}) and an outage ({span(OUTAGE)}): set"
                f" the role's `default_ttl` to {span(least)} or more"
            )
            yield Finding(Level.ERROR, where, message, Exit.HELD)
        elif left < 2 * timeout and not pipeline:
            message = (
                f"a new generation is made when {span(left)} of {span(role.max_ttl)} are left"
                f" (lease.rotate_before), which is less than two rolls ({span(2 * timeout)}): set"
                " the role's `max_ttl` higher, or `rotate_before`"
            )
            yield Finding(Level.ERROR, where, message, Exit.HELD)
        else:
            message = (
                f"{source} gives {span(role.default_ttl)} at a time, {span(role.max_ttl)} at most"
            )
            if pipeline:
                message += ": the pipeline must write a new version before that"
            yield Finding(Level.OK, where, message)
