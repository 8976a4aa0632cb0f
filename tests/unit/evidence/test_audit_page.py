"""What an auditor reads: intervals against the policy, who asked, both-valid windows, failures."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge.evidence.audit_page import COLUMNS, csv_of, page_of, row_of, who
from bridge.evidence.chain import Fault, Verdict
from bridge.evidence.histories import histories_of
from bridge.evidence.public_key import BadPublicKey, checks_with
from bridge.model.timestamps import instant, timestamp

DAY = 86400.0
START = instant("2026-11-01T00:00:00Z") / 1e9


def record(act: str, version: int, day: float, **more: Any) -> dict[str, Any]:
    """Return a record of the secret ``db``."""
    return {
        "act": act,
        "outcome": "done",
        "at": timestamp(START + day * DAY),
        "secret": "db",
        "version": version,
        "rotation": f"db@{version}-aaaa",
        **more,
    }


RECORDS = [
    record("mirrored", 1, 0, asked_by={"kind": "vault", "version": 1}),
    record("rolling", 1, 0, service="api"),
    record("converged", 1, 0, service="api"),
    record("good", 1, 0),
    record("mirrored", 2, 10),
    record("rolling", 2, 10, service="api"),
    record("set_aside", 2, 11, message="task failed | <b>"),
    record("mirrored", 3, 39, asked_by={"kind": "operator", "command": "rotate", "name": "a@b"}),
    record("rolling", 3, 40, service="api"),
    record("converged", 3, 40.5, service="api"),
    record("good", 3, 41),
    record("unused", 2, 41.5),
]


def test_a_history_has_intervals_windows_and_how_failures_ended() -> None:
    (history,) = histories_of(RECORDS)
    assert [r.version for r in history.rotations] == [1, 2, 3]
    assert [history.interval(n) for n in range(3)] == [None, None, 41 * DAY]
    assert [history.both_valid(n) for n in range(3)] == [
        None,
        (START + 10 * DAY, None),
        (START + 40 * DAY, START + 41.5 * DAY),  # until the former one was used no more
    ]
    ended = history.ended_by(1)
    assert ended
    assert ended.version == 3
    assert list(history.rotations[2].services) == ["api"]


@pytest.mark.parametrize(("limit", "late"), [(30 * DAY, True), (90 * DAY, False), (None, False)])
def test_the_page_compares_with_the_policy(limit: float | None, *, late: bool) -> None:
    verdict = Verdict(records=tuple(RECORDS), faults=())
    page = page_of(verdict, RECORDS, {"db": limit}, made=START, checked=["compared"])
    assert "Yes: 12 records" in page
    assert ("longer than the policy" in page) == late
    assert "a@b by `rotate`" in page
    assert "ended with `db@3-aaaa`" in page
    assert "task failed \\| &lt;b>" in page  # it stays in its cell
    rows = [line for line in page.splitlines() if line.startswith("| `db@")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {8}


def test_the_page_names_secrets_without_a_rotation() -> None:
    """Silence is no proof that a secret was rotated in the period."""
    limits = {"db": None, "key": 30 * DAY}
    page = page_of(Verdict(records=(), faults=()), [], limits, made=START, checked=[])
    assert "- key. Policy: `max_age` 30d." in page
    assert "- db. Policy: no `max_age`." in page
    whole = page_of(
        Verdict(records=tuple(RECORDS), faults=()), RECORDS, {"db": None}, made=START, checked=[]
    )
    assert "without a rotation" not in whole


def test_the_page_begins_with_what_is_wrong() -> None:
    verdict = Verdict(records=(), faults=(Fault("f:3", "record 3 was changed"),))
    page = page_of(verdict, [], {}, made=START, checked=[])
    assert "**No.**" in page
    assert "f:3: record 3 was changed" in page


def test_csv_has_no_formula_in_it() -> None:
    lines = csv_of([record("good", 1, 0, message="=cmd|' /C calc'!A0")]).splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert "'=cmd" in lines[1]
    assert len(row_of(RECORDS[0])) == len(COLUMNS)


@pytest.mark.parametrize(
    ("asked_by", "words"),
    [
        (None, ""),
        ({"kind": "bridge"}, "the bridge itself"),
        ({"kind": "schedule"}, "the schedule"),
        ({"kind": "vault", "version": 2}, "version 2 in Vault"),
        (
            {"kind": "vault", "version": 2, "created_by": {"actor": "ci", "client_id": "c"}},
            "version 2 in Vault, written by ci",
        ),
        (
            {"kind": "vault", "version": 2, "created_by": {"declared": "ci"}},
            "version 2 in Vault, written by ci (by the path's custom metadata)",
        ),
        ({"kind": "operator", "command": "retry", "reason": "r"}, "an operator by `retry`: r"),
    ],
)
def test_who_asked_in_words(asked_by: object, words: str) -> None:
    assert who(asked_by) == words


def test_signatures_by_public_keys_of_each_type_that_vault_signs_with() -> None:
    text = b"f" * 64
    one, two = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    three = rsa.generate_private_key(65537, 2048)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    signed: list[tuple[Any, bytes]] = [
        (one, one.sign(text)),
        (two, two.sign(text, ec.ECDSA(hashes.SHA256()))),
        (three, three.sign(text, pss, hashes.SHA256())),
    ]
    for key, signature in signed:
        form = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        check = checks_with(key.public_key().public_bytes(*form), "k")
        written = f"vault:v1:{base64.b64encode(signature).decode()}"
        assert check(text.decode(), written) == ""
        assert check("g" * 64, written)
        assert check(text.decode(), "vault:v1:?")
    raw = one.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    check = checks_with(base64.b64encode(raw) + b"\n", "k")
    assert check(text.decode(), f"vault:v1:{base64.b64encode(signed[0][1]).decode()}") == ""
    answer = {"data": {"keys": {"1": {"public_key": base64.b64encode(raw).decode()}}}}
    check = checks_with(json.dumps(answer).encode(), "k")
    assert check(text.decode(), f"vault:v1:{base64.b64encode(signed[0][1]).decode()}") == ""
    with pytest.raises(BadPublicKey):
        checks_with(b"nothing", "k")
