"""Listens to the swarm's events. They only wake the loop: what it acts on, it looks at itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol

from bridge.bell import Bell
from bridge.errors import NotGranted, SwarmUnreachable
from bridge.logs import logger, where
from bridge.model.events import Event as Told
from bridge.model.leadership import lease_config_name
from bridge.servers.swarm import Swarm

SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds before the stream is opened again, and again after that."""

Event = Mapping[str, Any]


def is_heartbeat(event: Event, instance: str) -> bool:
    """Return whether an event is a write of the leader's lease."""
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    name = lease_config_name(instance)
    return event.get("Type") == "config" and attributes.get("name") == name


class Follower(Protocol):
    """Somebody who follows the stream of events."""

    def opened(self) -> None:
        """Learn that a stream was opened; what happened before is not told."""

    def closed(self) -> None:
        """Learn that the stream has ended."""

    def heard(self, event: Event) -> None:
        """Learn of an event."""


class Listener:
    """Listens to the swarm's events in a thread of its own, and goes on whatever happens there.

    Args:
        connect: Makes a connection to listen on; another one after each trouble.
        bell: Is rung for each event that matters.
        matters: Returns whether an event is worth a look.
        follower: Is told of each event before the bell is rung, and when a stream opens and ends.
    """

    def __init__(
        self,
        connect: Callable[[], Swarm],
        bell: Bell,
        matters: Callable[[Event], bool],
        follower: Follower | None = None,
    ) -> None:
        self._connect = connect
        self._bell = bell
        self._matters = matters
        self._follower = follower
        self._over = threading.Event()
        self._reported: type[Exception] | None = None
        self._log = logger()

    @contextlib.contextmanager
    def listening(self) -> Generator[None]:
        """Listen until the block ends."""
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            yield
        finally:
            self._over.set()

    def _listen(self) -> None:
        pause = SHORTEST_PAUSE
        while not self._over.is_set():
            try:
                opened = self._hear()
            except Exception as error:  # noqa: BLE001 - without events every change is seen late
                self._report(error)
                opened = False
            pause = SHORTEST_PAUSE if opened else min(pause * 2, LONGEST_PAUSE)
            self._over.wait(pause)

    def _hear(self) -> bool:
        """Ring for the events of one stream until it ends; returns whether it was open at all."""
        opened = False
        events = self._connect()
        try:
            for event in events.events():
                self._tell(event, first=not opened)
                opened, self._reported = True, None
                if self._over.is_set():
                    break
                if self._matters(event):
                    self._bell.ring()
        except SwarmUnreachable:
            pass  # the next look at the swarm says so
        except NotGranted as error:
            self._report_missing(error)
        finally:
            if self._follower:
                self._follower.closed()
            events.close()
        return opened

    def _tell(self, event: Event, *, first: bool) -> None:
        """Tell the follower; the first event says that the stream is open, and may be empty."""
        if self._follower is None:
            return
        if first:
            self._follower.opened()
        if event:
            self._follower.heard(event)

    def _report_missing(self, error: NotGranted) -> None:
        """Report that we may not listen, once; no look at the swarm would say so."""
        if self._reported is not NotGranted:
            self._log.warning(
                Told.EVENTS_NOT_GRANTED,
                message=f"{error}; what others do is seen with the next look only",
            )
        self._reported = NotGranted

    def _report(self, error: Exception) -> None:
        """Report an unexpected error, once while it is the same."""
        if self._reported is not type(error):
            self._log.error(
                Told.EVENTS_FAILED,
                error=where(error),
            )
        self._reported = type(error)
