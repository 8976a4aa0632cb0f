"""One browser for all tests of the page, and a server that shows them one moment of a bridge."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import CHROMIUM, Tab, chromium
from tests.support.page_server import PageServer, serving

OpenTab = Callable[..., Tab]

expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        reason = "the page cannot be looked at here: install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with chromium() as started:
        yield started


@pytest.fixture
def server() -> Iterator[PageServer]:
    with serving() as shown:
        yield shown


@pytest.fixture
def tab(browser: Browser) -> Iterator[OpenTab]:
    opened: list[Tab] = []

    def new(**settings: Any) -> Tab:
        opened.append(Tab(browser, **settings))
        return opened[-1]

    yield new
    for each in opened:
        each.close()
