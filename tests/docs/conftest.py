"""The demo's servers, for pages that are read from their first line."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from rich.console import Console

from demo.scene import Scene
from tests.support.requirements import missing


@pytest.fixture
def scene() -> Iterator[Scene]:
    if missing():
        reason = f"the servers cannot run here: {'; '.join(missing())}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    made = Scene(Console(quiet=True))
    try:
        made.set_up()
        yield made
    finally:
        made.close()
