"""Does a secret have the content that the configuration asks for?

A changed format, field, template or decoding comes with the next version. Which content a version
was made with is a label of its Docker secret, which an older bridge did not write: such a version
counts as unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.decide.versions.target import Target
from bridge.model.conditions import Hold
from bridge.model.desired import DesiredSecret, Format
from bridge.model.reasons import Reason


def content_change(target: Target) -> str:
    """Return how the newest version's content differs from the configured one; empty if not."""
    mirror, wanted = target.usable, target.secret.content.shape
    if mirror is None or target.create or mirror.shape in ("", wanted):
        return ""
    name = target.secret.name
    before, now = _said(mirror.shape), _said(wanted)
    words = f"{mirror.docker_name} was made with `{before}`, and the configuration has `{now}`"
    if before == now:
        words = f"{mirror.docker_name} was made with another template than the configuration has"
    if target.secret.leased:
        how = f"it comes with the next generation, or at once with `vault-bridge rotate {name}`"
    else:
        how = f"it comes with the next version, or at once with `vault-bridge resync {name}`"
    return f"{words}; {how}"


def _said(shape: str) -> str:
    """Write a content's shape for people, to whom the digest of a template says nothing."""
    parts = shape.split(":")
    return ":".join([parts[0], *parts[2:]]) if parts[0] == Format.TEMPLATE else shape


def changed_contents(targets: Iterable[Target]) -> dict[str, Hold]:
    """Return the notices of all changes that are pending, by secret's name."""
    return {
        target.secret.name: Hold(
            secret=target.secret.name, reason=Reason.CONTENT_CHANGED, message=change
        )
        for target in targets
        if (change := content_change(target))
    }


def cannot_resync(secret: DesiredSecret) -> str:
    """Return why no version of a secret can ever be made anew; empty where it can."""
    why = secret.source.not_remade
    if not why:
        return ""
    return f"{why}: `vault-bridge rotate {secret.name}` makes another one as it is configured now"
