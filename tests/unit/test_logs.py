"""A log that cannot be written stops nobody."""

from __future__ import annotations

import errno
import io
import logging

from bridge import logs


class _FullDisk(io.StringIO):
    tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_stops_nobody() -> None:
    full = _FullDisk()
    logs.configure(full)
    logs.logger().info("rolling", secret="db")
    logging.getLogger("sdk").error("trouble")
    assert full.tries >= 2
