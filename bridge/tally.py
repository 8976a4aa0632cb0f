"""Counts requests to each server, and notifications, by how they ended, for whoever measures it.

One addition for each is all that this costs where nobody does.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar


class Ending(StrEnum):
    """How a request ended."""

    DONE = "done"
    REFUSED = "refused"  # an answer that concerns what was asked for
    UNAVAILABLE = "unavailable"  # the server answered that it cannot just now
    NO_ANSWER = "no_answer"
    GIVEN_UP = "given_up"  # by the bridge: it was to stop, or no longer leads


class Delivery(StrEnum):
    """What became of a notification, or of a try to deliver it."""

    DELIVERED = "delivered"
    FAILED = "failed"  # a try, after which there are others
    GIVEN_UP = "given_up"
    DROPPED = "dropped"  # too many waited already


E = TypeVar("E", bound=StrEnum)


class Tally(Generic[E]):
    """How often each ending came; safe in any thread.

    Args:
        endings: Every ending that is counted.
    """

    def __init__(self, endings: type[E]) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(endings, 0)

    def add(self, ending: E) -> None:
        """Count what has ended so."""
        with self._lock:
            self._counts[ending] += 1

    def counts(self) -> Mapping[E, int]:
        """Return how often each ending came since the process began."""
        with self._lock:
            return dict(self._counts)


VAULT = Tally(Ending)
ENGINE = Tally(Ending)
NOTIFICATIONS = Tally(Delivery)
"""Those of this process, whichever connections they went over."""
