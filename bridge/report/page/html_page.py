"""Writes the status page as one self-contained HTML document, with the policy that it needs."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from bridge.model.timestamps import timestamp
from bridge.report.answers import Answer, Known
from bridge.report.page import page_of
from bridge.report.page.page_query import read_query
from bridge.report.page.page_view import PageView
from bridge.report.page.page_words import ago, count, exact, short, span, until

EVERY = 5
"""Seconds after which the page refreshes itself."""


def status_page(known: Known) -> Answer:
    """Return the page of what a bridge knows, narrowed down by the query."""
    text = render(page_of(known, read_query(known.query)))
    own = tuple(headers().items())
    return Answer(200, "text/html; charset=utf-8", text.encode(), own)


def render(view: PageView) -> str:
    """Return the document. Every text of the view is escaped."""
    return _template().render(
        page=view,
        style=Markup(_part("page.css")),  # noqa: S704 - our own file
        script=Markup(_part("page.js")),  # noqa: S704 - our own file
        every=EVERY,
    )


@cache
def headers() -> Mapping[str, str]:
    """Return the headers of the page. Only the style and the script that are in it are allowed."""
    policy = (
        "default-src 'none'",
        f"style-src '{_hash(_part('page.css'))}'",
        f"script-src '{_hash(_part('page.js'))}'",
        "connect-src 'self'",
        "img-src data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "content-security-policy": "; ".join(policy),
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _part(name: str) -> str:
    """Return a file of this folder, as it stands between its tags."""
    text = resources.files("bridge.report.page").joinpath(name).read_text(encoding="utf-8")
    return text.strip()


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_part),
    )
    environment.filters |= {
        "ago": ago,
        "code": _code,
        "counted": count,
        "exact": exact,
        "iso": timestamp,
        "short": short,
        "span": span,
        "until": until,
    }
    return environment.get_template("page.html.j2")


def _code(text: str) -> Markup:
    """Return a text in which what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704
