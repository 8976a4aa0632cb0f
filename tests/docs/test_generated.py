"""What the code says of itself in the reference is what it says now."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from docs.generate import pages
from tests.support.lab import ROOT


@pytest.mark.parametrize(("file", "text"), pages().items(), ids=lambda x: getattr(x, "name", ""))
def test_the_generated_pages_are_current(file: Path, text: str) -> None:
    """Else: ``make docs``."""
    assert file.read_text() == text


def test_the_example_names_the_schema_and_keys_that_it_knows() -> None:
    example = (ROOT / "config/bridge.example.yaml").read_text()
    (name,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", example, re.MULTILINE)
    schema = json.loads((ROOT / "config" / name).read_text())
    assert yaml.safe_load(example).keys() <= schema["properties"].keys()
