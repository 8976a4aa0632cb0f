"""A private Prometheus that scrapes the bridges of a test, with the alerts that users have."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.lab import ROOT
from tests.support.processes import Server, eventually, free_port

Json = dict[str, Any]

ALERTS = ROOT / "config/alerts.yml"
DASHBOARD = ROOT / "config/dashboard.json"

_VARIABLES = {"$job": ".+", "$__rate_interval": "1m", "$__range": "1h"}
"""What Grafana puts in the place of its variables."""


class Prometheus:
    """A running server. Alerts fire at once: how long a state must last is for their unit tests.

    Args:
        folder: For its configuration and data; made here.
        target: Port of the loopback that is scraped each second.
    """

    def __init__(self, folder: Path, target: int) -> None:
        folder.mkdir()
        rules = yaml.safe_load(ALERTS.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            rule.pop("for", None)
        (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
        job = {
            "job_name": "vault-bridge",
            "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
        }
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [job],
        }
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        self._address = f"127.0.0.1:{free_port()}"
        command = [
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self._address}",
            "--log.level=warn",
        ]
        self._server = Server(command, folder / "log", {})
        self._server.wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def close(self) -> None:
        """End it."""
        self._server.kill()

    def _get(self, path: str, **query: str) -> Any:
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Json]:
        """Return the series of an expression, as they are now."""
        found: list[Json] = self._get("query", query=expression)["result"]
        return found

    def firing(self, alert: str) -> list[Json]:
        """Return the labels of an alert for each time that it fires now."""
        alerts = self._get("alerts")["alerts"]
        return [
            each["labels"]
            for each in alerts
            if each["labels"]["alertname"] == alert and each["state"] == "firing"
        ]

    def wait_until_firing(self, alert: str, **labels: str) -> None:
        """Wait until an alert fires with some labels."""
        eventually(lambda: any(labels.items() <= each.items() for each in self.firing(alert)))

    def wait_until_over(self, alert: str) -> None:
        """Wait until an alert does not fire any more."""
        eventually(lambda: not self.firing(alert))


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Return each query of the dashboard with its panel, as Grafana would send it."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for variable, value in _VARIABLES.items():
                expression = expression.replace(variable, value)
            yield panel["title"], expression


def promtool(*arguments: str, given: str = "") -> str:
    """Run Prometheus' own checks; raises ``AssertionError`` with what they found."""
    done = subprocess.run(
        ["promtool", *arguments],
        input=given,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
