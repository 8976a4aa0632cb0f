"""Tells people of what changed, by mail, chat, pager or webhook.

What is told is decided in ``report/notices``. Each receiver has a thread of its own, so that one
that hangs delays no other, and no cycle: what waits for it is bounded, and tried again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import tenacity

from bridge.config import Configuration
from bridge.errors import NotDelivered
from bridge.logs import where
from bridge.model.cycle_report import CycleReport
from bridge.model.events import Event
from bridge.model.notification import Message, Receiver
from bridge.report.notices import KNOWS_NOTHING, ReceiverState, messages_of
from bridge.report.troubles import facts_of
from bridge.servers.receiver import send
from bridge.tally import Delivery, Tally

WAITING = 100
"""Messages that wait for one receiver at most; beyond them the newest is dropped."""

LONGEST = 3600.0
"""Seconds after its posting for which a message is tried again: then `status` tells better.

Each is tried once at least. So those that wait behind it are not held up for an hour each, and what
is dropped while a receiver is away for days is what is old.
"""

PAUSES = tenacity.wait_exponential_jitter(initial=1, max=300)
"""The pauses between two tries."""

PARTING = 1.0
"""Seconds in which messages that wait are sent at the end of the process."""

Deliver = Callable[[Receiver, Message], object]
"""Sends one message, or raises ``NotDelivered``."""


class Courier:
    """Delivers the messages of one receiver, in order, in a thread that begins with the first.

    Args:
        log: A structlog logger.
        clock: Seconds that pass.
    """

    def __init__(
        self,
        receiver: Receiver,
        counts: Tally[Delivery],
        log: Any,
        deliver: Deliver = send,
        pauses: tenacity.wait.wait_base = PAUSES,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver = receiver
        self._counts = counts
        self._log = log
        self._deliver = deliver
        self._clock = clock
        self._until = 0.0
        self._waiting: queue.Queue[tuple[Message, float] | None] = queue.Queue(WAITING)
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None
        self._dropping = False
        self._failing = False
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NotDelivered),
            stop=lambda _: self._given_up.is_set() or self._clock() >= self._until,
            wait=pauses,
            sleep=tenacity.sleep_using_event(self._given_up),
            reraise=True,
        )

    def post(self, message: Message) -> None:
        """Let a message be delivered; it returns at once."""
        if self._thread is None:
            name = f"notify {self._receiver.url_file}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait((message, self._clock()))
        except queue.Full:
            self._counts.add(Delivery.DROPPED)
            if not self._dropping:
                self._log.warning(
                    Event.NOTIFICATIONS_DROPPED,
                    receiver=self._receiver.url_file,
                    message=f"{WAITING} wait already",
                )
            self._dropping = True
        else:
            self._dropping = False

    def leave(self) -> None:
        """Let the thread end when nothing waits any more."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self._given_up.set()

    def wait(self, seconds: float) -> None:
        """Wait for the thread's end, and let it give up then: one in a request ends by itself."""
        if self._thread:
            self._thread.join(seconds)
        self._given_up.set()

    def _run(self) -> None:
        while (waiting := self._waiting.get()) is not None and not self._given_up.is_set():
            message, posted = waiting
            self._until = posted + LONGEST
            try:
                self._retrying(self._try, message)
                self._counts.add(Delivery.DELIVERED)
            except Exception as error:  # noqa: BLE001 - the next message may well arrive
                self._counts.add(Delivery.GIVEN_UP)
                known = isinstance(error, NotDelivered)
                because = str(error) if known else f"unexpected error: {where(error)}"
                self._note(because)

    def _try(self, message: Message) -> None:
        try:
            self._deliver(self._receiver, message)
        except NotDelivered as error:
            self._counts.add(Delivery.FAILED)
            self._note(str(error))
            raise
        if self._failing:
            self._failing = False
            self._log.info(Event.NOTIFICATIONS_RESUMED, receiver=self._receiver.url_file)

    def _note(self, because: str) -> None:
        """Log that messages are not delivered, once until one is."""
        if not self._failing:
            self._failing = True
            self._log.warning(
                Event.NOTIFICATION_FAILED, receiver=self._receiver.url_file, message=because
            )


class Notifications:
    """The outlet that tells people of what changed; only the bridge that leads does.

    Args:
        log: A structlog logger.
        counts: Where deliveries are counted.
        deliver: Sends one message, or raises ``NotDelivered``.
    """

    name = "notifications"

    def __init__(self, log: Any, counts: Tally[Delivery], deliver: Deliver = send) -> None:
        self._log = log
        self._counts = counts
        self._deliver = deliver
        self._instance = ""
        self._couriers: dict[Receiver, Courier] = {}
        self._states: dict[Receiver, ReceiverState] = {}

    def configure(self, configuration: Configuration) -> None:
        """Go by a configuration; a receiver that stays as it is knows what it was told."""
        self._instance = configuration.desired.instance
        receivers = configuration.settings.notify
        for gone in self._couriers.keys() - set(receivers):
            self._couriers.pop(gone).leave()
            del self._states[gone]
        for receiver in receivers:
            if receiver not in self._couriers:
                courier = Courier(receiver, self._counts, self._log, self._deliver)
                self._couriers[receiver] = courier
                self._states[receiver] = KNOWS_NOTHING

    def publish(self, report: CycleReport) -> None:
        """Find what is to be told, and let it be delivered."""
        if not self._couriers:
            return
        facts = facts_of(report, self._instance)
        for receiver, courier in self._couriers.items():
            messages, self._states[receiver] = messages_of(receiver, self._states[receiver], facts)
            for message in messages:
                courier.post(message)

    def close(self) -> None:
        """Send what waits as far as a second suffices."""
        for courier in self._couriers.values():
            courier.leave()
        end = time.monotonic() + PARTING
        for courier in self._couriers.values():
            courier.wait(max(0.0, end - time.monotonic()))
