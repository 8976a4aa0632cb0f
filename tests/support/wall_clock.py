"""A wall clock of its own for one process, by Debian's ``faketime``: it can be set at any moment.

Only the wall clock is set. The boot clock and the monotonic one go on as they are.
"""

from __future__ import annotations

from pathlib import Path


class WallClock:
    """What a process takes for the wall clock.

    Attributes:
        command: What the process is started with.
    """

    def __init__(self, folder: Path) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        self._file = folder / "wall-clock"
        self.set("+0")
        self.command = (
            "env",
            f"LD_PRELOAD={library}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        )

    def set(self, ahead: str) -> None:
        """Set it so far ahead of the true time, as in ``+2h`` or ``-2h``."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead}\n")
        new.replace(self._file)
