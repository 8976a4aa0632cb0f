"""The status page: what a cycle saw and decided, as one self-contained page.

``page_of`` makes a frozen view, ``render`` writes it. Both are pure: they are given the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bridge import __version__
from bridge.report.answers import Known
from bridge.report.page.page_query import matching
from bridge.report.page.page_rows import Scene, details_of, row_of
from bridge.report.page.page_top import banners, causes, facts, headline
from bridge.report.page.page_view import Cause, PageView, Query, Row, Section, Standing

ALL_DETAILS = 40
"""Most rows whose details are all in the page; of more, only those that were asked for."""

_TITLES = {
    Standing.NEEDS: "Needs somebody",
    Standing.MOVES: "Moves",
    Standing.WAITS: "Waits",
    Standing.CURRENT: "Current",
}
_CAUSES = 4
"""Rows of a section from which on their reasons are counted above them."""


def page_of(known: Known, query: Query) -> PageView:
    """Return the whole page, with the secrets in the order of the configuration."""
    seen = known.seen
    scene = Scene.of(known)
    conditions = {c.name: c for c in seen.plan.conditions} if scene and seen and seen.plan else {}
    rows = [row_of(condition, scene) for condition in conditions.values()] if scene else []
    shown = [row for row in matching(rows, query) if query.standing in (None, row.standing)]
    all_details = len(shown) <= ALL_DETAILS
    if scene:
        shown = [
            replace(row, details=details_of(conditions[row.name], scene))
            if all_details or row.name in query.open
            else row
            for row in shown
        ]
    answer = headline(known, rows)
    return PageView(
        instance=known.desired.instance,
        version=__version__,
        now=known.now,
        tone=answer.tone,
        headline=answer.text,
        detail=answer.detail,
        banners=tuple(banners(known, rows)),
        facts=tuple(facts(known)),
        sections=tuple(_section(each, rows, shown) for each in Standing),
        total=len(rows),
        query=query,
        all_details=all_details,
    )


def _section(standing: Standing, rows: Iterable[Row], shown: Iterable[Row]) -> Section:
    own = tuple(row for row in shown if row.standing == standing)
    counted = standing != Standing.CURRENT and len(own) >= _CAUSES
    return Section(
        standing=standing,
        title=_TITLES[standing],
        count=sum(row.standing == standing for row in rows),
        rows=own,
        causes=tuple(Cause(*pair) for pair in causes(own).items()) if counted else (),
    )
