"""How findings read: in which order, how they wrap, and that what is to be copied stays whole."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from bridge.config.yaml_file import read
from bridge.errors import Exit
from bridge.model.findings import Finding, Level, to_grant
from bridge.model.rule import Rule
from bridge.report.finding_report import in_sum, print_findings

HCL = 'path "secret/metadata/' + "deep/" * 20 + 'db" { capabilities = ["read"] }'
FINDINGS = [
    Finding(
        Level.ERROR,
        "secrets.db",
        "PermissionDenied: our token may not read secret/deep/db"
        + to_grant(Rule("secret/metadata/" + "deep/" * 20 + "db", ("read",), "see versions")),
        Exit.HELD,
        ("bridge.yaml", 12),
    ),
    Finding(Level.OK, "vault", "it answers"),
    Finding(
        Level.WARNING,
        "api",
        "a roll that fails stays paused half-way, on both versions; with"
        " `update_config: {failure_action: rollback}` Swarm goes back by itself",
    ),
    Finding(Level.NOTE, "docker", "the managers keep the key"),
]


def _text(width: int) -> str:
    out = io.StringIO()
    terminal = bool(width)
    console = Console(
        file=out, width=width or 80, force_terminal=terminal, no_color=True, highlight=False
    )
    print_findings(FINDINGS, console)
    return re.sub(r"\x1b\[\d*m", "", out.getvalue())


def test_errors_come_last_and_are_counted() -> None:
    lines = _text(0).splitlines()
    levels = [line.split()[0] for line in lines if line[:1].isalpha() and line[8:9] == " "]
    assert levels == ["ok", "note", "warning", "error"]
    assert lines[-1] == "1 error, 1 warning, 1 note."
    assert in_sum(FINDINGS[1:2]) == "No errors and no warnings."


def test_what_is_piped_is_neither_wrapped_nor_padded() -> None:
    lines = _text(0).splitlines()
    assert len(lines) == 7
    assert all(line == line.rstrip() for line in lines)
    assert lines[3].startswith("error    bridge.yaml:12: secrets.db: PermissionDenied: our token")


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_policys_line_and_a_command_stay_whole_on_a_terminal(width: int) -> None:
    lines = _text(width).splitlines()
    assert HCL in lines
    assert any("`update_config: {failure_action: rollback}`" in line for line in lines)
    assert max(len(line) for line in lines if line != HCL) <= width


def test_a_finding_names_the_line_of_its_key(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(
        "vault:\n  address: x\nsecrets:\n  db.prod:\n    kv: {path: x}\n    services:\n"
        "      shop.api: {}\n"
    )
    source = read(str(file))
    places = {
        "secrets.db.prod": 4,
        "secrets.db.prod.services.shop.api": 7,
        "secrets.db.prod, secrets.other": 4,
        "secrets.db.prod.kv.lease": 5,
        "vault.ca_file": 1,
        "poll.interval": 0,
        "shop_api": 0,
    }
    assert {place: source.line_of(place) for place in places} == places
