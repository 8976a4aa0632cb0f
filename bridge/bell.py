"""Wakes the loop before its time: rung by events of the swarm and by whoever asks it to stop."""

from __future__ import annotations

import contextlib
import queue


class Bell:
    """Wakes a sleeper from another thread or a signal handler.

    ``threading.Event`` must not be set in a handler that may have interrupted its own methods: it
    takes a lock that is not reentrant. ``SimpleQueue.put`` is made for that.
    """

    def __init__(self) -> None:
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring(self) -> None:
        """Wake the sleeper, or let the next sleep be none."""
        self._rung.put(None)

    def wait(self, seconds: float) -> bool:
        """Sleep; returns whether the bell rang."""
        try:
            self._rung.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def silence(self) -> None:
        """Forget that it rang."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._rung.get_nowait()
