"""The page of reasons has every reason that the code knows, and no other."""

from __future__ import annotations

import re

from bridge.model.reasons import Reason, State
from tests.support.lab import ROOT

_PAGE = (ROOT / "docs/reference/reasons.md").read_text()


def test_every_reason_is_documented_once_with_what_to_do() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", _PAGE, re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == sorted(Reason)
    assert all(meaning and what_to_do for _, meaning, what_to_do in rows)


def test_every_state_is_documented() -> None:
    assert all(f"`{state}`" in _PAGE for state in State)
