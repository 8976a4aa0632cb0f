"""Every path that is answered over HTTP, with what makes its answer."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.report.answers import Page
from bridge.report.metrics import Metrics
from bridge.report.page.html_page import status_page
from bridge.report.probes import livez, readyz, status


def pages(metrics: Metrics) -> Mapping[str, Page]:
    """Return what makes the answer of each path; any other path is not there."""
    return {
        "/": status_page,
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": metrics.page,
        "/status.json": status,
    }
