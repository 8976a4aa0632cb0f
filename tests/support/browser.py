"""The chromium of this machine, for the tests of the status page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or ""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start it, without a window, until the end of the block."""
    sandbox = os.geteuid() != 0  # which chromium does not have for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=sandbox)
        try:
            yield browser
        finally:
            browser.close()


def violations(page: Page, *rules: str) -> list[str]:
    """Return what axe-core finds on a page, by all of its rules or by these alone."""
    page.evaluate(_axe())
    options = {"runOnly": list(rules)} if rules else {}
    found = page.evaluate("async options => (await axe.run(document, options)).violations", options)
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


@cache
def _axe() -> str:
    """Return the file of axe-core, which a package of the tests brings."""
    file = resources.files("axe_playwright_python").joinpath("axe.min.js")
    return file.read_text(encoding="utf-8")


class Tab:
    """One page of a browser, and all that it complained about.

    Attributes:
        complaints: What its console shows, errors of scripts, and what its policy forbade.
    """

    def __init__(self, browser: Browser, **settings: Any) -> None:
        self.context: BrowserContext = browser.new_context(**settings)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def close(self) -> None:
        """Close it. Raises ``AssertionError`` where it complained about anything."""
        self.context.close()
        assert not self.complaints, self.complaints
