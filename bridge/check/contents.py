"""Does the current version have what the configuration makes a Docker secret of?

Without values: by the names of its fields, where the engine tells them (``subkeys`` of KV v2). By
its value, where somebody asks for that: each is read once, judged, and let go. None is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.errors import ContentRefused, Exit, VaultError, VaultRefused
from bridge.model.content.fields import text_of
from bridge.model.content.payload import render
from bridge.model.desired import Desired, DesiredSecret, Format
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.identity import Identity
from bridge.model.leased import held_by
from bridge.model.reasons import Reason
from bridge.model.rule import Rule
from bridge.model.vault_view import Unreadable, VaultView
from bridge.servers.vault import Vault
from bridge.sources.kinds import kind_of

_BY_NAMES = frozenset((Reason.FIELD_MISSING, Reason.FIELD_NOT_TEXT, Reason.FORMAT_CANNOT_HOLD))
"""What the names of fields tell; anything else is for the values."""

MOST_LINES = 20
"""Lines of a policy that one finding has."""


def check_contents(
    vault: Vault, view: VaultView, desired: Desired, now: float, *, values: bool
) -> Iterator[Finding]:
    """Report on the content of each current version.

    Args:
        values: Read each value once. Else only names of fields are asked for.
    """
    current = list(_current(view, desired, now))
    if values:
        for identity, secrets in current:
            yield from _by_value(vault, identity, secrets)
        return
    lacking: list[Rule] = []
    for identity, secrets in current:
        try:
            yield from _by_names(vault, identity, secrets)
        except VaultRefused as error:
            rule = kind_of(identity.source).outline_rule(identity.source)
            if error.reason == Reason.PERMISSION_DENIED and rule:
                lacking.append(rule)
        except VaultError as error:
            yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
            return
    if lacking:
        shown, more = lacking[:MOST_LINES], len(lacking) - MOST_LINES
        others = f", and {more} more of this kind" if more > 0 else ""
        message = (
            "the contents are unverified: our token may not see the names of fields, which"
            f" `check --values` does without, by reading each value{others}"
        )
        yield Finding(Level.NOTE, "vault", message + to_grant(*shown))


def _current(
    view: VaultView, desired: Desired, now: float
) -> Iterator[tuple[Identity, Sequence[DesiredSecret]]]:
    """Yield the current version of each versioned source, with the secrets that are made of it."""
    for source, seen in view.paths.items():
        secrets = [secret for secret in desired.secrets if secret.source == source]
        if isinstance(seen, Unreadable) or source.leased or not secrets:
            continue
        _, found = source.current(seen, now)
        if isinstance(found, Identity):
            yield found, secrets


def _by_names(
    vault: Vault, identity: Identity, secrets: Sequence[DesiredSecret]
) -> Iterator[Finding]:
    """Judge the outline of a version: its fields, with stand-ins for their values."""
    outline = kind_of(identity.source).outline(vault, identity)
    if outline is None:
        return
    for secret in secrets:
        lease = secret.content.lease
        try:
            for key in (lease.id_field, lease.accessor_field) if lease else ():
                text_of(outline, key)
            render(outline, secret.content)
        except ContentRefused as error:
            if error.reason in _BY_NAMES:
                # What a template reaches may depend on the values.
                sure = secret.content.format != Format.TEMPLATE
                yield _refused(error, identity, secret, Level.ERROR if sure else Level.WARNING)


def _by_value(
    vault: Vault, identity: Identity, secrets: Sequence[DesiredSecret]
) -> Iterator[Finding]:
    source = identity.source
    try:
        fields = kind_of(source).read_version(vault, identity)
    except VaultRefused as error:
        if error.reason != Reason.PERMISSION_DENIED:  # that is reported anyhow
            yield Finding(Level.ERROR, _keys(secrets), f"{error.reason}: {error}", Exit.HELD)
        return
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    if fields is None:
        message = f"{source} was written anew while it was looked at: check it once more"
        yield Finding(Level.NOTE, _keys(secrets), message)
        return
    for secret in secrets:
        try:
            content, _ = held_by(fields, secret.content.lease)
            render(content, secret.content)
        except ContentRefused as error:
            yield _refused(error, identity, secret, Level.ERROR)
        else:
            message = f"the content of version {identity.version} of {source} was read, and fits"
            yield Finding(Level.OK, f"secrets.{secret.name}", message)


def _refused(
    error: ContentRefused, identity: Identity, secret: DesiredSecret, level: Level
) -> Finding:
    """Return the finding that a version does not fit, at the key that asks for more."""
    by_format = {Format.RAW: "kv.field", Format.TEMPLATE: "template"}
    key = by_format.get(secret.content.format, "format")
    message = f"{error.reason}: version {identity.version} of {identity.source}: {error.message}"
    if error.reason == Reason.FIELD_MISSING:
        begin = " Correct" if message.endswith("?") else "; correct"
        message += f"{begin} `{key}`, or write a version that has it"
    code = Exit.HELD if level == Level.ERROR else Exit.DONE
    return Finding(level, f"secrets.{secret.name}.{key}", message, code)


def _keys(secrets: Sequence[DesiredSecret]) -> str:
    return ", ".join(f"secrets.{secret.name}" for secret in secrets)
