"""Numbers that know how they were written."""

from __future__ import annotations

from typing import Self


class WrittenInt(int):
    """An integer that knows how it was written: YAML reads ``0400`` as 256."""

    text: str

    def __new__(cls, value: int, text: str) -> Self:
        """Make one."""
        made = super().__new__(cls, value)
        made.text = text
        return made
