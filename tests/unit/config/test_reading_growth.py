"""What reading a file costs grows as the file does, and no faster; no time is measured."""

from __future__ import annotations

import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from bridge.config import load
from tests.bench.stubs import configuration
from tests.unit.decide.test_growth import instructions

SMALL, TIMES, MOST = 40, 10, 1.05
PEAK = 3.0
"""What is allocated at most while a file is read, over what is left of it."""


def _file(folder: Path, count: int, services: int) -> str:
    folder.mkdir(exist_ok=True)
    vault = {"address": "https://vault.example.net:8200"}
    return str(configuration(folder, count, services, vault=vault))


@pytest.mark.parametrize("services", [1, 10], ids=["one service", "many services"])
def test_ten_times_as_many_secrets_cost_ten_times_as_much(tmp_path: Path, services: int) -> None:
    few, many = (
        _file(tmp_path / str(count), count, services if services == 1 else count // services)
        for count in (SMALL, SMALL * TIMES)
    )
    load(few, {})
    small, large = (instructions(partial(load, file, {})) for file in (few, many))
    assert large <= small * TIMES * MOST


def test_reading_needs_little_more_than_what_is_read(tmp_path: Path) -> None:
    file = _file(tmp_path, 2000, 200)
    load(file, {})
    tracemalloc.start()
    try:
        found = load(file, {})
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.desired.secrets) == 2000
    assert peak < PEAK * left
