"""Each cycle is handed to all outlets, and one that fails concerns no other and no cycle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.config import Configuration, load
from bridge.model.cycle_report import CycleReport
from bridge.publish import Publishing

CANARY = "canary-of-an-outlet"
REPORT = CycleReport(at=1.0, took=0.1)


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))


class _Outlet:
    def __init__(self, name: str, *, fails: bool = False) -> None:
        self.name = name
        self.fails = fails
        self.called: list[str] = []

    def configure(self, configuration: Configuration) -> None:
        self._call("configure")

    def publish(self, report: CycleReport) -> None:
        assert report is REPORT
        self._call("publish")

    def close(self) -> None:
        self._call("close")

    def _call(self, what: str) -> None:
        self.called.append(what)
        if self.fails:
            raise ValueError(CANARY)


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """Return the smallest configuration."""
    file = tmp_path / "bridge.yaml"
    file.write_text(
        "vault: {address: 'http://127.0.0.1:1', auth: {method: token, token_file: t}}\n"
    )
    return load(str(file), {})


def test_what_fails_in_one_outlet_concerns_no_other(configuration: Configuration) -> None:
    log, broken, whole = _Log(), _Outlet("broken", fails=True), _Outlet("whole")
    publishing = Publishing((broken, whole), log)
    publishing.configure(configuration)
    publishing.publish(REPORT)
    publishing.close()
    assert whole.called == ["configure", "publish", "close"] == broken.called


def test_a_failure_is_logged_once_until_the_outlet_works_again() -> None:
    log, outlet = _Log(), _Outlet("page", fails=True)
    publishing = Publishing((outlet,), log)
    publishing.publish(REPORT)
    publishing.publish(REPORT)
    assert [(event, fields["outlet"]) for event, fields in log.lines] == [("outlet_failed", "page")]
    assert CANARY not in str(log.lines)
    outlet.fails = False
    publishing.publish(REPORT)
    outlet.fails = True
    publishing.publish(REPORT)
    assert len(log.lines) == 2


def test_a_report_says_whether_this_bridge_leads() -> None:
    assert not REPORT.leads  # it has not looked: it stands by, or the cycle failed
