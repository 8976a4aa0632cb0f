"""Each alert fires when it should, says what to do, and is in the runbook."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from bridge.model.reasons import Reason, State
from bridge.report.metric_list import METRICS, PREFIX, Kind
from tests.support.lab import ROOT
from tests.support.prometheus import ALERTS, DASHBOARD, dashboard_queries, promtool

RUNBOOK = ROOT / "docs/how-to/runbook.md"
_NAME = re.compile(rf"\b{PREFIX}\w+")


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _exposed() -> set[str]:
    found = {metric.full for metric in METRICS}
    for metric in METRICS:
        if metric.kind == Kind.HISTOGRAM:
            found |= {f"{metric.full}_{part}" for part in ("bucket", "sum", "count")}
    return found


@pytest.mark.usefixtures("promtool_is_there")
def test_each_alert_fires_and_ends_as_promtool_sees_it() -> None:
    promtool("check", "rules", str(ALERTS))
    promtool("test", "rules", str(ALERTS.with_suffix(".test.yml")))
    tests = yaml.safe_load(ALERTS.with_suffix(".test.yml").read_text())["tests"]
    shown = {
        rule["alertname"] for t in tests for rule in t["alert_rule_test"] if rule["exp_alerts"]
    }
    assert shown == {rule["alert"] for rule in _rules()}


def test_each_alert_names_its_section_of_the_runbook() -> None:
    sections = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == [rule["alert"] for rule in _rules()]
    for rule in _rules():
        page, anchor = rule["annotations"]["runbook_url"].split("#")
        assert ROOT / page == RUNBOOK
        assert anchor == rule["alert"].lower()
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}


def test_alerts_and_dashboard_ask_for_metrics_that_there_are() -> None:
    expressions = [rule["expr"] for rule in _rules()] + [e for _, e in dashboard_queries()]
    asked = {name for expression in expressions for name in _NAME.findall(expression)}
    assert asked <= _exposed()
    words = set(re.findall(r'reason[=!]~?"([\w|]+)"', " ".join(expressions)))
    reasons = {word for each in words for word in each.split("|")}
    assert reasons <= set(map(str, Reason))
    words = set(re.findall(r'state=~?"([\w|]+)"', " ".join(expressions)))
    assert {word for each in words for word in each.split("|")} <= set(map(str, State))


def test_the_dashboard_has_what_grafana_needs_to_import_it() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating"} <= dashboard.keys()
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(titles)) == len(titles)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
