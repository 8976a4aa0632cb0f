"""Whatever is done to a chain of records is found, and the first line that is wrong is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.evidence.chain import SIGNED, Line, head_after, linked, verify
from bridge.evidence.reading import Wanted, lines_of
from bridge.model.audit_head import AuditHead

Record = dict[str, Any]

_TEXT = st.text(max_size=8)
_BODIES = st.lists(
    st.dictionaries(
        st.sampled_from(["act", "secret", "message", "at"]),
        _TEXT | st.integers(-(2**53) + 1, 2**53 - 1) | st.lists(_TEXT, max_size=2) | st.none(),
    ),
    min_size=2,
    max_size=8,
)


def chained(bodies: list[Record]) -> tuple[list[Record], AuditHead]:
    """Return the records of some contents, and the head."""
    head, records = AuditHead(), []
    for body in bodies:
        records.append(linked(body, head))
        head = head_after(records[-1], head)
    return records, head


def lines(records: list[Record]) -> list[Line]:
    """Return records as a file has them."""
    return list(lines_of("f", [json.dumps(record) for record in records]))


@given(_BODIES)
def test_a_chain_is_whole_however_its_fields_are_written(bodies: list[Record]) -> None:
    records, head = chained(bodies)
    turned = [dict(reversed(record.items())) for record in records]
    assert verify(lines(turned), head).faults == ()
    assert verify(lines(turned)).records == tuple(records)


@given(_BODIES, st.data())
def test_any_tampering_is_found_at_its_first_line(
    bodies: list[Record], data: st.DataObject
) -> None:
    records, head = chained(bodies)
    at = data.draw(st.integers(0, len(records) - 1))
    how = data.draw(st.sampled_from(["change", "forge", "drop", "insert", "cut"]))
    changed, wrong = list(records), at
    if how == "change":
        field = data.draw(st.sampled_from(["message", "at", "previous", "new"]))
        changed[at] = {**records[at], field: "x" * 9}
    elif how == "forge":  # the whole record, with a hash of its own
        body = {"act": "forged", "seq": at + 1, "previous": records[at]["previous"]}
        before = AuditHead(seq=at, hash=body["previous"])
        changed[at] = linked({"act": "forged"}, before)
        wrong = min(at + 1, len(records) - 1)
    elif how == "drop":
        del changed[at]
        wrong = min(at, len(changed) - 1)
    elif how == "insert":
        before = AuditHead(seq=at, hash=records[at]["previous"])
        changed.insert(at, linked({"act": "inserted"}, before))
        wrong = at + 1
    else:
        del changed[at:]
        wrong = at - 1
    found = verify(lines(changed), head).faults
    assert found
    assert found[0].place == (f"f:{wrong + 1}" if changed else "the end")


@given(_BODIES, st.integers(1, 7))
def test_yesterday_s_file_is_found_by_the_head_alone(bodies: list[Record], days: int) -> None:
    records, head = chained(bodies)
    old = records[: -min(days, len(records) - 1)]
    assert verify(lines(old)).faults == ()
    (fault,) = verify(lines(old), head).faults
    assert "an old copy" in fault.message


@given(_BODIES)
def test_the_same_records_from_several_places_count_once(bodies: list[Record]) -> None:
    records, head = chained(bodies)
    log = [json.dumps({"event": "audit", "record": record}) for record in records]
    noise = [json.dumps({"event": "state"}), "", "text without a record"]
    shipped = [f"bridge.1.x@node | {line}" for line in log]
    found = verify([*lines(records[:1]), *lines_of("log", [*noise, *shipped])], head)
    assert found.faults == ()
    assert found.records == tuple(records)


def test_a_file_that_begins_later_is_whole_only_where_that_is_said() -> None:
    records, head = chained([{"act": str(n)} for n in range(4)])
    assert "records 1 to 2 are missing" in verify(lines(records[2:]), head).faults[0].message
    found = verify(lines(records[2:]), head, partial=True)
    assert found.faults == ()
    assert found.notes == ("the records before 3 were not given",)


def test_a_torn_line_is_no_fault_where_its_record_follows() -> None:
    records, head = chained([{"act": str(n)} for n in range(3)])
    texts = [json.dumps(record) for record in records]
    torn = [texts[0], texts[1][:20], *texts[1:]]
    found = verify(lines_of("f", torn), head)
    assert found.faults == ()
    assert found.notes == ("f:2: no record, and left out",)
    assert verify(lines_of("f", [texts[0], texts[1][:20], texts[2]]), head).faults


def test_a_newer_record_than_the_head_is_noted() -> None:
    records, _ = chained([{"act": str(n)} for n in range(3)])
    head = head_after(records[1], AuditHead())
    found = verify(lines(records), head)
    assert (found.faults, len(found.notes)) == ((), 1)
    assert verify(lines(records), head_after(linked({"act": "x"}, AuditHead()), head)).faults


@pytest.mark.parametrize(("answer", "signed"), [("", 2), ("no", 0)])
def test_signatures_are_of_the_hash_before(answer: str, signed: int) -> None:
    records, head = chained([{"act": "a"}, {"act": SIGNED, "signature": "s"}, {"act": "b"}])
    asked: list[tuple[str, str]] = []

    def check(text: str, signature: str) -> str:
        asked.append((text, signature))
        return answer

    found = verify(lines(records), head, check=check)
    assert asked == [(records[0]["hash"], "s")]
    assert found.signed == signed
    assert bool(found.faults) == bool(answer)
    assert verify(lines(records), head).notes == ("1 signatures were not verified",)


def test_what_is_asked_for_is_shown() -> None:
    record = {"secret": "db", "service": "api", "at": "2026-11-02T00:00:00Z"}
    day = 86400.0
    at = 1793577600.0
    assert Wanted().takes(record)
    assert Wanted("db", "api", at, at + day).takes(record)
    wrong = (Wanted("x"), Wanted(service="x"), Wanted(since=at + day), Wanted(until=at))
    assert not any(wanted.takes(record) for wanted in wrong)
    assert Wanted(service="web").takes({**record, "tasks": [{"service": "web"}]})


def test_a_head_is_read_back_and_a_damaged_one_is_none() -> None:
    head = AuditHead(seq=3, hash="a" * 64, at="t", bridge="b", signed=2, trouble="x", holds=True)
    assert AuditHead.read(head.write()) == head
    assert AuditHead.read("{}") is None
    assert AuditHead.read("nothing") is None


def test_a_record_whose_hash_was_removed_is_reported_and_so_is_the_next_one() -> None:
    records, head = chained([{"act": str(n)} for n in range(3)])
    del records[1]["hash"]
    log = [json.dumps({"event": "audit", "record": record}) for record in records]
    first, *more = verify(lines_of("log", log), head).faults
    assert (first.place, "was changed" in first.message) == ("log:2", True)
    assert more


def test_what_is_no_unicode_is_recorded_all_the_same() -> None:
    """The reason that an operator types in a terminal of another encoding."""
    records, head = chained([{"act": "asked", "asked_by": {"reason": "caf\udce9"}}, {"act": "b"}])
    assert records[0]["asked_by"] == {"reason": "caf?"}
    assert verify(lines(records), head).faults == ()


def branched(*, begins: str) -> tuple[list[Record], list[Record], AuditHead]:
    """Return what one bridge left beside the chain, the chain of the next one, and its head."""
    records, head = chained([{"act": "leads", "bridge": "a"}, {"act": "mirrored", "bridge": "a"}])
    left, end = [], head
    for act in ("rolling", "converged", "good"):
        left.append(linked({"act": act, "bridge": "a"}, end))
        end = head_after(left[-1], end)
    for act in (begins, "rolling"):
        records.append(linked({"act": act, "bridge": "b"}, head))
        head = head_after(records[-1], head)
    return left, records, head


@pytest.mark.parametrize("known", [True, False])
def test_what_a_killed_bridge_left_is_beside_the_chain(*, known: bool) -> None:
    left, records, head = branched(begins="leads")
    found = verify([*lines(left), *lines(records)], head if known else None)
    assert found.faults == ()
    assert [note.partition(": ")[0] for note in found.notes] == ["f:1", "f:2", "f:3"]
    assert "record 3 is beside the chain: the bridge on a" in found.notes[0]
    assert len(found.records) == 7


def test_what_was_inserted_beside_another_act_is_reported() -> None:
    left, records, head = branched(begins="mirrored")
    assert verify([*lines(left), *lines(records)], head).faults
    left, records, head = branched(begins="leads")
    changed = {**left[1], "act": "good"}
    assert verify([*lines([left[0], changed, left[2]]), *lines(records)], head).faults
    assert verify([*lines(left[1:]), *lines(records)], head).faults  # its first one is missing
    # Nobody can have the chain cut: what the swarm names is part of it.
    assert verify([*lines(left), *lines(records[:2])], head).faults


def test_the_first_bridge_may_be_killed_too() -> None:
    first, _ = chained([{"act": "leads", "bridge": "a"}, {"act": "mirrored", "bridge": "a"}])
    second, head = chained([{"act": "leads", "bridge": "b"}])
    found = verify([*lines(first), *lines(second)], head)
    assert (found.faults, len(found.notes)) == ((), 2)
