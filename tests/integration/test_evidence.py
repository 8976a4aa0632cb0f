"""The evidence on real servers: whole after rotations, and nothing done to it goes unseen."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import Lab
from tests.support.leases import LeasedDatabase
from tests.support.processes import eventually

Json = dict[str, Any]
POISON = "grep -q poison /run/secrets/db && exit 3; exec sleep 100000"


def _records(file: Path) -> list[Json]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def _audited(lab: Lab, **more: Any) -> Path:
    """Let the bridge write evidence that Vault signs; returns the file."""
    file, mount = lab.folder / "audit.jsonl", lab.name("transit")
    lab.vault.put(f"sys/mounts/{mount}", type="transit")
    lab.vault.put(f"{mount}/keys/audit", type="ed25519")
    transit = {"mount": mount, "key": "audit", "every": 5}
    lab.settings(audit={"file": str(file), "transit": transit, **more})
    return file


def test_evidence_of_a_rotation_and_of_a_failure(lab: Lab) -> None:
    """With ``sync``, with ``run``, over a restart; then whatever is done to the file is found."""
    file = _audited(lab)
    lab.settings(rollout={"bake": "1s", "timeout": "5s"})
    lab.service("api", replicas=2, command=["sh", "-c", POISON])
    lab.secret("db", {"api": {"target": "db"}})
    lab.vault.put(f"{lab.mount}/metadata/db", custom_metadata={"created_by": "pipeline-7"})
    lab.rotate("db")
    lab.cli("sync")
    after_sync = _records(file)
    assert [r["act"] for r in after_sync[:2]] == ["leads", "mirrored"]
    assert after_sync[1]["asked_by"]["created_by"] == {"declared": "pipeline-7"}
    assert "good" in [r["act"] for r in after_sync]
    assert "Whole" in lab.run("evidence").stderr

    yesterday = file.read_text()
    lab.vault.write(lab.mount, "db", password="poison")
    lab.cli("sync", code=5)
    process = lab.start()
    process.wait_for("leads")
    lab.cli("pause", lab.name("db"), "--reason", "a freeze")
    value = lab.rotate("db")
    process.wait_for("held", reason="Paused")
    eventually(lambda: any(r["act"] == "asked" for r in _records(file)))
    lab.cli("resume", lab.name("db"))
    process.wait_for("good", secret=lab.name("db"), version=3)
    assert lab.swarm.read(lab.name("api"), "db") == [value, value]
    eventually(lambda: any(r["act"] == "good" and r["version"] == 3 for r in _records(file)))
    assert process.stop() == 0

    records = _records(file)
    acts = [r["act"] for r in records]
    assert {"set_aside", "asked", "signed"} <= set(acts)
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    (paused,) = (r for r in records if r["act"] == "asked" and r["asked_by"]["command"] == "pause")
    assert paused["asked_by"]["reason"] == "a freeze"
    assert paused["asked_by"]["name"]
    rolls = [r for r in records if r["act"] == "rolling" and r["version"] == 3]
    assert {row["tasks"] for row in rolls[0]["tasks"]} == {2}
    assert not any(canary in file.read_text() for canary in lab.canaries)

    # The log has the same records.
    lines = [line["record"] for line in process.lines("audit")]
    assert lines == records[-len(lines) :]

    shown = lab.run("evidence", "--secret", lab.name("db"), "--report").stdout
    assert "Yes: " in shown
    assert "ended with" in shown
    assert "pipeline-7" in shown
    _is_found(lab, file, yesterday)
    _verifies_by_the_key_alone(lab, file)


def _is_found(lab: Lab, file: Path, yesterday: str) -> None:
    """Whatever is done to the file is found, and the first line that is wrong is named."""
    lines = file.read_text().splitlines(keepends=True)
    changed = json.loads(lines[2]) | {"service": "other"}
    cases = {
        "changed": ([*lines[:2], json.dumps(changed) + "\n", *lines[3:]], 3, "was changed"),
        "dropped": ([*lines[:3], *lines[4:]], 4, "missing before"),
        "inserted": ([*lines[:3], lines[2].replace("api", "web"), *lines[3:]], 4, "was changed"),
        "cut": (lines[:-2], len(lines) - 2, "missing after"),
        "yesterday": (yesterday.splitlines(keepends=True), yesterday.count("\n"), "an old copy"),
    }
    for name, (content, line, words) in cases.items():
        copy = lab.folder / f"{name}.jsonl"
        copy.write_text("".join(content))
        done = lab.run("evidence", str(copy), "--json", code=3)
        first = json.loads(done.stdout)["faults"][0]
        assert first["place"] == f"{copy}:{line}", (name, first)
        assert words in first["message"], (name, first)


def _verifies_by_the_key_alone(lab: Lab, file: Path) -> None:
    """An auditor without servers: only the signatures tell a chain that was written anew."""
    key = lab.folder / "audit.pub"
    found = lab.vault.get(f"{lab.name('transit')}/keys/audit")
    key.write_text(found["keys"]["1"]["public_key"])
    arguments = ("evidence", "--offline", "--public-key", str(key), str(file), "--json")
    answer = json.loads(lab.run(*arguments).stdout)
    assert answer["whole"]
    assert answer["signed"] >= 5
    key.write_text(base64.b64encode(bytes(32)).decode())
    answer = json.loads(lab.run(*arguments, code=3).stdout)
    assert "signature" in answer["faults"][0]["message"]


def test_a_bridge_that_was_killed_leaves_evidence_that_is_whole(lab: Lab) -> None:
    """Its successor goes on from the file where the swarm does not know the last records yet."""
    file = lab.folder / "audit.jsonl"
    lab.settings(audit={"file": str(file)})
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.cli("sync")
    for event in ("mirrored", "rolling", "converged"):
        lab.rotate("db")
        process = lab.start()
        process.wait_for(event)
        process.kill()
    value = lab.rotate("db")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), "db") == [value]
    assert "Whole" in lab.run("evidence").stderr
    records = _records(file)
    assert [record["act"] for record in records].count("leads") == 5


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[Path]:
    """Return a folder on a file system that a few kilobytes fill."""
    place = lab.folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def _fill(file: Path) -> Path:
    """Fill the disk of a file, its own last block too; returns what to remove again."""
    filler = file.with_name("filler")
    with file.open("ab") as stream:
        stream.write(b"\n" * (4096 - file.stat().st_size % 4096))
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, stderr=subprocess.DEVNULL)
    return filler


@pytest.mark.parametrize("how", ["hold", "warn"])
def test_a_full_disk(lab: Lab, small_disk: Path, how: str) -> None:
    file = small_disk / "audit.jsonl"
    lab.settings(audit={"file": str(file), "on_failure": how})
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    first = lab.rotate("db")
    lab.cli("sync")
    filler = _fill(file)
    process = lab.start()
    process.wait_for("leads")
    value = lab.rotate("db")
    process.wait_for("audit_unwritable")
    if how == "hold":
        process.wait_for("held", reason="AuditUnwritable")
        shown = lab.status(code=3)["db"]
        assert (shown["state"], shown["reason"]) == ("Held", "AuditUnwritable")
        assert "No space left" in shown["message"]
        assert lab.swarm.read(lab.name("api"), "db") == [first]
    else:
        process.wait_for("good", secret=lab.name("db"), version=2)
        assert lab.swarm.read(lab.name("api"), "db") == [value]
    filler.unlink()
    process.wait_for("audit_writable")
    process.wait_for("good", secret=lab.name("db"), version=2)
    assert lab.swarm.read(lab.name("api"), "db") == [value]
    eventually(lambda: any(r["act"] == "good" and r["version"] == 2 for r in _records(file)))
    assert process.stop() == 0
    assert "Whole" in lab.run("evidence").stderr
    assert {s["state"] for s in lab.status().values()} == {"Synced"}


def test_leases_are_renewed_while_evidence_cannot_be_written(
    lab: Lab, leased_database: Callable[..., LeasedDatabase], small_disk: Path
) -> None:
    """An outage is no better evidence. No record has a lease's id or an accessor."""
    file = small_disk / "audit.jsonl"
    lab.settings(audit={"file": str(file), "on_failure": "hold"})
    leased = leased_database(default_ttl="8s")
    leased.first()
    bridge = lab.start()
    load = leased.load(replicas=1)
    leased.settle_on(1)
    filler = _fill(file)
    leased.ask()
    bridge.wait_for("held", reason="AuditUnwritable")
    renewed = len(bridge.lines("lease_renewed"))
    eventually(lambda: len(bridge.lines("lease_renewed")) >= renewed + 3)
    assert leased.refers_to() == 1
    filler.unlink()
    leased.settle_on(2)
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    assert bridge.stop() == 0
    acts = [record["act"] for record in _records(file)]
    assert {"minted", "custody_permanent", "retiring"} <= set(acts)
    leased.note_canaries()
    assert not any(canary in file.read_text() for canary in lab.canaries)
    assert "Whole" in lab.run("evidence").stderr
