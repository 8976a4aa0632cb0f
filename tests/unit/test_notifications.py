"""Messages are delivered beside the cycles: one that hangs or fails holds nothing up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tenacity

from bridge.config import Configuration, load
from bridge.errors import NotDelivered
from bridge.model.cycle_report import CycleReport
from bridge.model.notification import Message, Receiver, Topic
from bridge.publish.notifications import LONGEST, WAITING, Courier, Notifications
from bridge.tally import Delivery, Tally
from tests.unit.test_notices import FINE, NOWHERE, failed

CANARY = "canary-of-a-url"
RECEIVER = Receiver(url_file="/url")


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    info = warning


class _Service:
    """What delivers; a test says how each try ends, and waits for it."""

    def __init__(self) -> None:
        self.ends: queue.Queue[Exception | None] = queue.Queue()
        self.tried: list[str] = []
        self.begun: queue.Queue[str] = queue.Queue()

    def __call__(self, receiver: Receiver, message: Message) -> None:
        self.tried.append(message.title)
        self.begun.put(message.title)
        end = self.ends.get()
        if end:
            raise end


class _Couriers:
    def __init__(self) -> None:
        self.log, self.counts, self.service = _Log(), Tally(Delivery), _Service()
        pauses = tenacity.wait_none()
        self.courier = Courier(RECEIVER, self.counts, self.log, self.service, pauses)

    def post(self, title: str) -> None:
        self.courier.post(Message(Topic.HELD, title, "body"))

    def end(self) -> None:
        self.service.ends.put(None)
        self.courier.leave()
        self.courier.wait(60)


@pytest.fixture
def made() -> Iterator[_Couriers]:
    couriers = _Couriers()
    yield couriers
    couriers.end()


def test_a_message_is_tried_again_until_it_is_accepted_and_logged_once(made: _Couriers) -> None:
    for end in (NotDelivered("no"), NotDelivered("no"), None, None):
        made.service.ends.put(end)
    made.post("one")
    made.post("two")
    made.end()
    assert made.service.tried == ["one", "one", "one", "two"]
    assert made.counts.counts() == {
        Delivery.DELIVERED: 2,
        Delivery.FAILED: 2,
        Delivery.GIVEN_UP: 0,
        Delivery.DROPPED: 0,
    }
    assert [event for event, _ in made.log.lines] == [
        "notification_failed",
        "notifications_resumed",
    ]


def test_an_unexpected_error_loses_its_message_alone_and_its_words(made: _Couriers) -> None:
    for end in (ValueError(CANARY), None):
        made.service.ends.put(end)
    made.post("one")
    made.post("two")
    made.end()
    assert made.service.tried == ["one", "two"]
    assert made.counts.counts()[Delivery.GIVEN_UP] == 1
    assert "ValueError at " in made.log.lines[0][1]["message"]
    assert CANARY not in repr(made.log.lines)


def test_what_waits_is_bounded(made: _Couriers) -> None:
    made.post("first")
    made.service.begun.get()
    for number in range(WAITING + 3):
        made.post(f"{number}")
    assert made.counts.counts()[Delivery.DROPPED] == 3
    assert [event for event, _ in made.log.lines] == ["notifications_dropped"]
    for _ in range(WAITING + 1):
        made.service.ends.put(None)


def test_an_end_does_not_wait_for_one_that_hangs() -> None:
    made = _Couriers()
    made.post("one")
    made.service.begun.get()
    made.courier.leave()
    made.courier.wait(0.0)
    made.service.ends.put(NotDelivered("it is given up then"))
    made.courier.wait(60)
    assert made.service.tried == ["one"]
    assert made.counts.counts()[Delivery.GIVEN_UP] == 1


def _configuration(folder: Path, *urls: str) -> Configuration:
    entries = "".join(f"  - {{url_file: {url}}}\n" for url in urls)
    notify = f"notify:\n{entries}" if urls else ""
    file = folder / "bridge.yaml"
    file.write_text(
        "vault: {address: 'http://127.0.0.1:1', auth: {method: token, token_file: t}}\n" + notify
    )
    return load(str(file), {})


def test_each_receiver_is_told_by_itself_and_one_that_stays_is_told_nothing_twice(
    tmp_path: Path,
) -> None:
    got: queue.Queue[tuple[str, str]] = queue.Queue()
    hangs = threading.Event()

    def deliver(receiver: Receiver, message: Message) -> None:
        if receiver.url_file.endswith("hangs"):
            hangs.wait(60)
        got.put((receiver.url_file.rpartition("/")[2], message.title))

    def report(at: float, **more: Any) -> CycleReport:
        return CycleReport(at=at, took=0.1, world=NOWHERE, **more)

    outlet = Notifications(_Log(), Tally(Delivery), deliver)
    outlet.configure(_configuration(tmp_path, "hangs", "one"))
    outlet.publish(report(1.0, plan=FINE))
    outlet.publish(report(2.0, plan=failed("db")))
    title = "Roll failed: db (RollFailed) [vault-bridge default]"
    assert got.get(timeout=60) == ("one", title)
    outlet.configure(_configuration(tmp_path, "two", "one"))
    outlet.publish(report(3.0, plan=failed("db")))
    outlet.publish(report(4.0, plan=FINE))
    assert got.get(timeout=60) == ("one", "Recovered: db (RollFailed) [vault-bridge default]")
    hangs.set()
    assert got.get(timeout=60) == ("hangs", title)
    outlet.close()
    assert got.empty()


def test_without_notify_there_is_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    outlet = Notifications(_Log(), Tally(Delivery))
    outlet.configure(_configuration(tmp_path))
    outlet.publish(CycleReport(at=1.0, took=0.1, world=NOWHERE, plan=FINE))
    assert threading.active_count() == before
    outlet.close()


def test_what_waited_behind_one_for_an_hour_is_tried_once() -> None:
    """A receiver that is away for days is told what is new when it is back, not what is old."""
    now = [0.0]
    counts, service = Tally(Delivery), _Service()
    pauses = tenacity.wait_none()
    courier = Courier(RECEIVER, counts, _Log(), service, pauses, clock=lambda: now[0])
    for title in ("first", "second"):
        courier.post(Message(Topic.HELD, title, "body"))
    service.begun.get(timeout=60)
    now[0] = LONGEST
    courier.post(Message(Topic.HELD, "third", "body"))
    for end in (NotDelivered("no"), NotDelivered("no"), NotDelivered("no"), None):
        service.ends.put(end)
    courier.leave()
    courier.wait(60)
    assert service.tried == ["first", "second", "third", "third"]
    found = counts.counts()
    assert (found[Delivery.GIVEN_UP], found[Delivery.DELIVERED]) == (2, 1)
