"""Suggestions for names that do not exist: which known name was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache


def respelt(name: str, names: Iterable[str]) -> str:
    """Return the known name with the same letters and digits; empty where there is none."""
    return next((known for known in names if _letters(known) == _letters(name)), "")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the known name that is most likely meant; empty where none is near."""
    return _nearest(name, tuple(names))


@lru_cache(maxsize=512)
def _nearest(name: str, names: tuple[str, ...]) -> str:
    return respelt(name, names) or next(iter(difflib.get_close_matches(name, names, n=1)), "")


def _letters(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name).casefold()
