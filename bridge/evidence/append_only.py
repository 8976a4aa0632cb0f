"""A file that is only ever appended to, line by line, each on the disk before the next begins."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

_MODE = 0o640
_TAIL = 1 << 20


class AppendOnly:
    """The evidence's file. It is opened for each line, so that it may be rotated at any time.

    Args:
        path: Its path; the folder must be there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._torn = False

    def append(self, line: bytes) -> None:
        """Append a line, and wait until it is on the disk.

        What a failure has half written stays: nothing is ever removed. The next line begins anew.

        Raises:
            OSError: It could not be written.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(self.path, flags, _MODE)
        try:
            left = (b"\n" if self._torn else b"") + line + b"\n"
            while left:
                written = os.write(file, left)
                left = left[written:]
                self._torn = bool(left)
            os.fsync(file)
        except OSError:
            # The line may be there in part, or whole and not on the disk.
            self._torn = True
            raise
        finally:
            os.close(file)

    def tail(self) -> list[dict[str, Any]]:
        """Return the last records of the file, the last one first: those of about a MiB.

        Lines that are none are left out; there are no records where the file cannot be read. Where
        it was just rotated, they are those of the newest file whose name begins as its own.
        """
        lines = _last_lines(Path(self.path))
        if lines:
            self._torn = bool(lines[-1])
        return _records(lines) or _records(_last_lines(self._rotated()))

    def _rotated(self) -> Path:
        """Return the newest file whose name begins as that of the file; itself where none does."""
        own = Path(self.path)
        with suppress(OSError):
            beside = (each for each in own.parent.iterdir() if each.name.startswith(own.name))
            found = ((each.stat().st_mtime, each) for each in beside if each.is_file())
            return max(((at, each) for at, each in found if each != own), default=(0.0, own))[1]
        return own


def _last_lines(file: Path) -> list[bytes]:
    """Return the last lines of a file; none where it cannot be read.

    The very last one is empty, unless it is torn.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            return stream.read().split(b"\n")
    except OSError:
        return []


def _records(lines: list[bytes]) -> list[dict[str, Any]]:
    records = []
    for line in reversed(lines):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                records.append(found)
    return records
