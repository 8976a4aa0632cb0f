"""What to do about a reason, as the page of reasons has it.

``remedies.json`` is made from ``docs/reference/reasons.md`` by ``make docs``, so that both say the
same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

from bridge.model.reasons import Reason

_ROW = re.compile(r"^\| `(\w+)` \| .+ \| (.+) \|$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)?([^)#]+)[^)]*\)")


def read_page(text: str) -> dict[str, str]:
    """Return what to do by reason, from the text of the page, where that is not nothing.

    Links become the path of the page below ``docs/``.
    """
    found = ((name, _LINK.sub(r"\1 (docs/\2)", what)) for name, what in _ROW.findall(text))
    return {name: what for name, what in found if what != "nothing"}


def remedy(reason: Reason, secret: str, service: str = "") -> str:
    """Return what to do, with commands for this secret; empty where nothing is to be done."""
    what = _remedies().get(reason, "")
    what = re.sub(r"\bNAME\b", lambda _: secret, what)
    return re.sub(r"\bSERVICE\b", lambda _: service, what) if service else what


@cache
def _remedies() -> Mapping[str, str]:
    text = resources.files("bridge.report").joinpath("remedies.json").read_text(encoding="utf-8")
    found: Mapping[str, str] = json.loads(text)
    return found
