"""Counts the requests of this process to each server by how they ended, for whoever measures it.

One addition for each request is all that this costs where nobody does.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import StrEnum


class Ending(StrEnum):
    """How a request ended."""

    DONE = "done"
    REFUSED = "refused"  # an answer that concerns what was asked for
    UNAVAILABLE = "unavailable"  # the server answered that it cannot just now
    NO_ANSWER = "no_answer"
    GIVEN_UP = "given_up"  # by the bridge: it was to stop, or no longer leads


class Tally:
    """How often each ending came; safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(Ending, 0)

    def add(self, ending: Ending) -> None:
        """Count a request that has ended."""
        with self._lock:
            self._counts[ending] += 1

    def counts(self) -> Mapping[Ending, int]:
        """Return how often each ending came since the process began."""
        with self._lock:
            return dict(self._counts)


VAULT = Tally()
ENGINE = Tally()
"""Those of this process, whichever connections they went over."""
