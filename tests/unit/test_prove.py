"""`vault-bridge evidence` for an auditor who has nothing but the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.cli.prove import NoEvidence, _signed
from bridge.evidence.chain import Verdict
from tests.unit.evidence.test_audit_page import RECORDS
from tests.unit.evidence.test_chain import chained


def _run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(cli, ["-c", "none.yaml", "evidence", *arguments], input=text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of evidence."""
    records, _ = chained(RECORDS)
    made = tmp_path / "audit.jsonl"
    made.write_text("".join(json.dumps(record) + "\n" for record in records))
    return made


def test_a_whole_file(file: Path) -> None:
    done = _run(str(file))
    assert done.exit_code == 0
    assert "Whole: 12 records." in done.stderr
    assert "not compared with the swarm" in done.stderr
    assert done.stdout.count("\n") >= 13


@pytest.mark.parametrize(
    ("signed", "words"),
    [
        (0, "no record has a signature that is valid by Vault"),
        (2, "records up to 2 are signed, verified by Vault; those after it are not signed yet"),
        (3, "records up to 3 are signed, verified by Vault"),
    ],
)
def test_it_tells_how_much_is_signed(signed: int, words: str) -> None:
    records = tuple({"seq": number} for number in (1, 2, 3))
    verdict = Verdict(records=records, faults=(), signed=signed)
    (told,) = _signed(verdict, "Vault")
    assert told.removeprefix("the ") == words
    assert _signed(verdict, "") == []


def test_a_report_names_the_secrets_of_the_configuration_that_were_asked_for(
    file: Path, tmp_path: Path
) -> None:
    config = tmp_path / "bridge.yaml"
    config.write_text(
        "vault: {address: 'http://127.0.0.1:1', auth: {method: token, token_file: t}}\n"
        "secrets:\n"
        "  db: {kv: {mount: secret, path: db, field: p}}\n"
        "  key: {kv: {mount: secret, path: key, field: p}}\n"
    )
    report = ("--offline", "-c", str(config), "--report", str(file))
    assert "- key. Policy: no `max_age`." in _run(*report).stdout
    assert "- key." not in _run("--secret", "db", *report).stdout
    assert "- key." not in _run("--service", "api", *report).stdout


def test_what_is_piped_is_not_cut(file: Path) -> None:
    lines = _run(str(file)).stdout.splitlines()
    times = [json.loads(line)["at"] for line in file.read_text().splitlines()]
    assert [at in line for at, line in zip(times, lines[1:], strict=True)] == [True] * 12


def test_what_is_wrong_comes_with_its_line_and_a_code(file: Path) -> None:
    file.write_text(file.read_text().replace("2026-11-11", "2026-11-12", 1))
    done = _run(str(file))
    assert done.exit_code == 3
    assert f"Not whole: {file}:5: record 5 was changed" in done.stderr


def test_it_shows_what_is_asked_for_and_verifies_all(file: Path) -> None:
    since = ("--since", "2026-12-01")
    assert _run(*since, "--csv", str(file)).stdout.count("\n") == 1 + 5
    found = json.loads(_run("--json", "--until", "2026-11-02T00:00:00Z", str(file)).stdout)
    assert (found["whole"], len(found["records"])) == (True, 4)
    assert _run("--secret", "other", "--csv", str(file)).stdout.count("\n") == 1
    assert "# Rotations of secrets" in _run("--report", str(file)).stdout


def test_a_pipe(file: Path) -> None:
    lines = file.read_text().splitlines()
    log = "".join(f'{{"event": "audit", "record": {line}}}\n' for line in lines)
    assert _run("-", text=log).exit_code == 0


def test_each_instance_has_a_chain_of_its_own(file: Path, tmp_path: Path) -> None:
    records, _ = chained([{**record, "instance": "other"} for record in RECORDS])
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps(record) + "\n" for record in records))
    done = _run(str(file), str(other))
    assert isinstance(done.exception, NoEvidence)
    assert "several instances" in str(done.exception)
    config = tmp_path / "bridge.yaml"
    config.write_text(
        "instance: other\n"
        "vault: {address: 'http://127.0.0.1:1', auth: {method: token, token_file: t}}\n"
    )
    both = ("--offline", "-c", str(config), str(file), str(other))
    assert "Whole: 12 records." in _run(*both).stderr


@pytest.mark.parametrize("arguments", [["/none/audit.jsonl"], ["--public-key", "/none/key", "-"]])
def test_what_cannot_be_read(arguments: list[str]) -> None:
    done = _run(*arguments)
    assert isinstance(done.exception, NoEvidence)
    assert "cannot be read (No such file or directory)" in str(done.exception)


def test_a_wrong_time(file: Path) -> None:
    assert "a date or a time is needed" in _run("--since", "soon", str(file)).output
