"""What is looked for on the page, by the query of its address: ``/?q=shop+api&state=needs``."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qs

from bridge.report.page.page_view import Query, Row, Standing

_LONGEST = 200
_LONGEST_QUERY = 8192
_MOST_OPEN = 50


def read_query(text: str) -> Query:
    """Return what a query asks for; what is not understood is left out.

    Args:
        text: What follows the ``?``, as it came.
    """
    found = parse_qs(text) if len(text) <= _LONGEST_QUERY else {}
    asked = found.get("state", [""])[-1]
    return Query(
        text=found.get("q", [""])[-1].strip()[:_LONGEST],
        standing=Standing(asked) if asked in set(Standing) else None,
        open=frozenset(found.get("open", [])[:_MOST_OPEN]),
    )


def matching(rows: Iterable[Row], query: Query) -> tuple[Row, ...]:
    """Return the rows that have every word that is looked for, whatever their standing."""
    words = query.text.lower().split()
    return tuple(row for row in rows if all(word in row.text for word in words))
