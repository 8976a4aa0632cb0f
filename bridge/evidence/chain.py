"""The chain of records: each has the hash of the one before it. Pure.

The hash of a record is SHA-256 over its canonical form by RFC 8785, without the field ``hash``. So
it does not matter in which order a log pipeline writes the fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import rfc8785

from bridge.evidence.branches import parted
from bridge.model.audit_head import START, AuditHead

Record = Mapping[str, Any]

SIGNED = "signed"
"""The act of a record that holds a signature, of the hash of the record before it."""


def canonical(record: Record) -> bytes:
    """Return a record in its canonical form.

    Raises:
        ValueError: It has something that JSON cannot hold exactly.
    """
    try:
        return rfc8785.dumps(dict(record))
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from None


def hash_of(record: Record) -> str:
    """Return the hash of a record's content. Raises ``ValueError`` as ``canonical`` does."""
    content = {key: value for key, value in record.items() if key != "hash"}
    return hashlib.sha256(canonical(content)).hexdigest()


def linked(body: Record, head: AuditHead) -> dict[str, Any]:
    """Return a record that follows the head of a chain.

    What is no Unicode in a text, as an operator's terminal may send it, is replaced by ``?``.
    """
    record = {**_as_unicode(body), "seq": head.seq + 1, "previous": head.hash}
    return {**record, "hash": hash_of(record)}


def _as_unicode(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case Mapping():
            return {_as_unicode(key): _as_unicode(each) for key, each in value.items()}
        case list():
            return [_as_unicode(each) for each in value]
        case _:
            return value


def head_after(record: Record, head: AuditHead) -> AuditHead:
    """Return the head of a chain that ends with a record."""
    signed = int(record["seq"]) if record.get("act") == SIGNED else head.signed
    return replace(
        head,
        seq=int(record["seq"]),
        hash=str(record["hash"]),
        at=str(record.get("at", "")),
        bridge=str(record.get("bridge", "")),
        signed=signed,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A line that should be a record.

    Attributes:
        place: File and line, for people.
        record: None where it is no record.
    """

    place: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that shows that the evidence is not what was written.

    Attributes:
        place: File and line of the first line that is wrong.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a verification.

    Attributes:
        records: All records in their order, once each.
        faults: What is wrong, the first one first; none where the chain is whole.
        notes: What is not wrong and worth knowing.
        signed: Number of the last record that a verified signature covers; 0 for none.
    """

    records: tuple[Record, ...]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()
    signed: int = 0


@dataclass(slots=True)
class _Found:
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, place: str, message: str) -> None:
        self.faults.append(Fault(place, message))


Check = Callable[[str, str], str]
"""Takes a hash and its signature; returns why it is not valid, or nothing."""


def verify(
    lines: Iterable[Line],
    head: AuditHead | None = None,
    *,
    partial: bool = False,
    check: Check | None = None,
) -> Verdict:
    """Verify a chain of records.

    1. Each record's hash is that of its content: else it was changed.
    2. Numbers go up by one, from 1 on: else some are missing, or one was inserted. What a bridge
       left that was killed before it wrote the head stands beside the chain, see ``branches``.
    3. Each names the hash of the record before: else one of the two was exchanged as a whole.
    4. The last one is the one that the swarm names: else the end was cut, or the file is old.
    5. Signatures are those of Vault: else somebody wrote the chain anew.

    Args:
        lines: Of all files; a record that is there several times counts once.
        head: The head that the swarm keeps; None where it is not known.
        partial: Whether records before the first one may be missing, as in one of several files.
        check: Verifies a signature; None where none is verified.
    """
    found = _Found()
    placed = _sorted(lines, found)
    chain, beside = parted(placed, head, _is_intact)
    before: Record | None = None
    for place, record in chain:
        _follow(place, record, before, found, partial=partial)
        before = record
    for place, record in beside:
        found.notes.append(
            f"{place}: record {record['seq']} is beside the chain: the bridge on"
            f" {record.get('bridge', '?')} ended before it told the swarm of it, and another one"
            " went on; nothing vouches for it"
        )
    _compare(chain, head, found)
    signed = _signatures(chain, check, found)
    records = tuple(record for _, record in placed)
    return Verdict(
        records=records, faults=tuple(found.faults), notes=tuple(found.notes), signed=signed
    )


def _sorted(lines: Iterable[Line], found: _Found) -> list[tuple[str, Record]]:
    """Return the records by number, each once; what is none is noted."""
    placed: list[tuple[str, Record]] = []
    seen = set[str]()
    for line in lines:
        record = line.record
        if record is None or not _is_number(record.get("seq")):
            found.notes.append(f"{line.place}: no record, and left out")
            continue
        own = str(record.get("hash"))
        if _is_intact(record) and own in seen:
            continue  # the same record from a file and from the log
        seen.add(own)
        placed.append((line.place, record))
    return sorted(placed, key=lambda each: each[1]["seq"])


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_intact(record: Record) -> bool:
    try:
        return hash_of(record) == record.get("hash")
    except ValueError:
        return False


def _follow(
    place: str, record: Record, before: Record | None, found: _Found, *, partial: bool
) -> None:
    """Find what is wrong with a record that follows another one."""
    seq = record["seq"]
    if not _is_intact(record):
        found.fault(place, f"record {seq} was changed: its hash is not that of its content")
        return
    last = before["seq"] if before else 0
    if before is None and partial:
        if seq > 1:
            found.notes.append(f"the records before {seq} were not given")
        return
    if seq == last:
        found.fault(
            place,
            f"record {seq} is there twice with different content: one was inserted, or two bridges"
            " led at a time",
        )
    elif seq > last + 1:
        found.fault(place, f"{_range(last + 1, seq - 1)} missing before this line")
    elif record.get("previous") != (before.get("hash") if before else START):
        what = f"record {last}" if before else "the start of a chain"
        found.fault(place, f"record {seq} does not follow {what}: one of the two was exchanged")


def _range(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _compare(placed: Sequence[tuple[str, Record]], head: AuditHead | None, found: _Found) -> None:
    """Compare the end of the chain with the head that the swarm keeps."""
    if head is None or not head.seq:
        return
    if not placed:
        found.fault("the end", f"{_range(1, head.seq)} missing: the swarm knows of {head.seq}")
        return
    place, last = placed[-1]
    if last["seq"] < head.seq:
        missing = _range(last["seq"] + 1, head.seq)
        found.fault(
            place,
            f"{missing} missing after this line: the end was cut, the file is an old copy, or"
            f" they are in the file of the bridge on {head.bridge or 'another host'}",
        )
        return
    named = [(where, record) for where, record in placed if record["seq"] == head.seq]
    if all(record.get("hash") != head.hash for _, record in named):
        where = named[0][0] if named else place
        found.fault(where, f"record {head.seq} is not the one that the swarm names")
    elif last["seq"] > head.seq:
        more = _range(head.seq + 1, last["seq"]).removesuffix(" is").removesuffix(" are")
        found.notes.append(f"{more}: newer than what the swarm knows of")


def _signatures(placed: Sequence[tuple[str, Record]], check: Check | None, found: _Found) -> int:
    """Verify the signatures; returns the number of the last record that one covers."""
    signed, count = 0, 0
    for place, record in placed:
        if record.get("act") != SIGNED:
            continue
        count += 1
        if check is None:
            continue
        wrong = check(str(record.get("previous")), str(record.get("signature", "")))
        if wrong:
            found.fault(place, f"the signature of record {record['seq']} is not valid: {wrong}")
        else:
            signed = record["seq"]
    if count and check is None:
        found.notes.append(f"{count} signatures were not verified")
    return signed
