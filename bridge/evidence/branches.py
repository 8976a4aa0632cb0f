"""Tells the chain from branches that end beside it. Pure.

A bridge that is killed between a record and its head leaves records that the swarm does not know
of. The next one has no way to see them, unless it has the same file, and goes on from the head. So
there are two records of one number, and nobody has done anything wrong. What is told from that by
its form is an inserted record: the next bridge begins its part of the chain with ``leads``, and a
record that is inserted anywhere else stands beside another act.

As to records newer than the head, nothing vouches for what such a branch has: it is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from bridge.model.audit_head import AuditHead
from bridge.model.events import Event

Placed = tuple[str, Mapping[str, Any]]
"""A record, and its file and line."""

_MOST_ENDS = 20
"""Ends that are taken for that of the chain, one after the other, at most."""


def parted(
    placed: Sequence[Placed],
    head: AuditHead | None,
    is_intact: Callable[[Mapping[str, Any]], bool],
) -> tuple[Sequence[Placed], Sequence[Placed]]:
    """Return the records of the chain, and those of branches beside it.

    Args:
        placed: Records in the order of their numbers.
        head: The head that the swarm keeps; None where it is not known.

    Returns:
        All records, and none, where no number is there twice, or not for this reason alone.
    """
    if len({record["seq"] for _, record in placed}) == len(placed):
        return placed, ()
    known = {str(record.get("hash")): record for _, record in placed if is_intact(record)}
    for chain in _chains(known, head):
        beside = [each for each in placed if not _is_in(each, chain)]
        if _are_explained([record for _, record in beside], chain, known):
            return [each for each in placed if _is_in(each, chain)], beside
    return placed, ()


def _is_in(each: Placed, chain: Collection[str]) -> bool:
    return str(each[1].get("hash")) in chain


def _chains(
    known: Mapping[str, Mapping[str, Any]], head: AuditHead | None
) -> Iterator[Collection[str]]:
    """Yield what may be the chain, by hashes: that with the highest number first."""
    followed = {record.get("previous") for record in known.values()}
    ends = [own for own in known if own not in followed]
    named = head.hash if head and head.hash in known else ""
    for end in reversed(ends[-_MOST_ENDS:]):
        chain = _chain_to(end, known)
        if not named or named in chain:
            yield chain


def _chain_to(end: str, known: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the hashes of a record and of all before it, as far as they are known."""
    found, own = set[str](), end
    while own in known:
        found.add(own)
        own = str(known[own].get("previous"))
    return found


def _are_explained(
    beside: Sequence[Mapping[str, Any]],
    chain: Collection[str],
    known: Mapping[str, Mapping[str, Any]],
) -> bool:
    """Return whether each record follows another one beside the chain, or stands beside `leads`."""
    starts = {
        (known[own].get("previous"), known[own]["seq"])
        for own in chain
        if known[own].get("act") == Event.LEADS
    }
    reached = {(record.get("hash"), record["seq"] + 1) for record in beside}
    return all(
        record.get("hash") in known and (record.get("previous"), record["seq"]) in starts | reached
        for record in beside
    )
