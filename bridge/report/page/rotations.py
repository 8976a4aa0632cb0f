"""The last rotations of a secret, from what the labels of its Docker secrets keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from bridge.model.identity import Identity
from bridge.model.mirror import Mirror
from bridge.model.source import Source
from bridge.model.timestamps import known_moment, moment
from bridge.model.vault_view import KvDocument
from bridge.report.page.page_view import Rotation, Span

MOST = 6
"""Rotations that are shown of one secret."""


def rotations_of(mirrors: Sequence[Mirror], paths: Mapping[Source, object]) -> tuple[Rotation, ...]:
    """Return the last rotations, newest first.

    Args:
        mirrors: Mirrored versions of one secret, newest first.
        paths: What Vault has at each path, as far as it was read.
    """
    shown = mirrors[: MOST + 1]
    both = {newer.id: _both(older, newer) for newer, older in pairwise(shown)}
    return tuple(
        _rotation(mirror, both.get(mirror.id), _written_by(mirror.identity, paths))
        for mirror in shown[:MOST]
    )


def _written_by(version: Identity, paths: Mapping[Source, object]) -> str:
    """Return who wrote a version of a path; empty where nobody tells."""
    document = paths.get(version.source)
    found = document.versions.get(version.version) if isinstance(document, KvDocument) else None
    if found is None or found.created != version.created:
        return ""
    by = dict(found.created_by)
    return next((by[key] for key in _WRITERS if by.get(key)), "")


_WRITERS = ("actor", "entity_id", "declared", "client_id")
"""Where the name of who wrote a version is looked for, see ``KvVersion.created_by``."""


def _rotation(mirror: Mirror, both: Span | None, by: str) -> Rotation:
    begun = _begun(mirror)
    return Rotation(
        version=mirror.identity.version,
        id=mirror.rotation,
        by=by,
        created=moment(mirror.identity.created, mirror.created),
        mirrored=mirror.created,
        begun=begun,
        good=known_moment(mirror.good),
        ended=_ended(mirror),
        both=both,
        aside=bool(mirror.asides),
    )


def _begun(mirror: Mirror) -> float | None:
    """Return when the first service was rolled to a version, as far as its records are kept."""
    times = [at for record in mirror.records.values() if (at := known_moment(record.at))]
    return min(times, default=None)


def _ended(mirror: Mirror) -> float | None:
    """Return when a version was over: its credential, or else what used it.

    Until the end of a lease is seen, its credential is valid, whether it is used or not.
    """
    if mirror.leased:
        return known_moment(mirror.leased.ended)
    return known_moment(mirror.unused)


def _both(older: Mirror, newer: Mirror) -> Span | None:
    """Return when both of two versions were valid at once; of those without a lease, in use.

    1. The credentials of leased ones are valid from when Vault made the newer one to the end of
       the older one.
    2. What else a value opens, the bridge does not know. It knows from when services were rolled
       to the newer one, and when nothing had the older one any more, every service was well on
       the newer one, or it was set aside.
    """
    if newer.leased:
        since: float | None = moment(newer.identity.created, newer.created)
        ends = [_ended(older), _ended(newer)]
    else:
        since = _begun(newer)
        ends = [_ended(older), known_moment(newer.good), _set_aside(newer)]
    until = min((end for end in ends if end), default=None)
    if since is None or (until is not None and until <= since):
        return None
    return Span(since, until)


def _set_aside(mirror: Mirror) -> float | None:
    """Return when a version was set aside, so that services left it again."""
    times = [at for mark in mirror.asides.values() if (at := known_moment(mark.at))]
    return max(times, default=None)
