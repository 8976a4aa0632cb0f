"""What wakes the loop: events, whatever becomes of the thread that hears them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from bridge import listen, logs
from bridge.bell import Bell
from bridge.errors import SwarmUnreachable
from bridge.listen import Event, Listener
from bridge.servers.swarm import Swarm

Stream = Callable[[], Iterator[Any]]


class _Events:
    """A connection on which one stream after the other is opened."""

    def __init__(self, *streams: Stream) -> None:
        self._streams = iter(streams)
        self.opened = 0

    def events(self) -> Iterator[Any]:
        self.opened += 1
        return next(self._streams, _of())()

    def close(self) -> None:
        pass


def _of(*events: Any) -> Stream:
    return lambda: iter(events)


def _fails(error: Exception) -> Stream:
    def stream() -> Iterator[Any]:
        raise error
        yield

    return stream


def _heard(events: _Events, matters: Callable[[Event], bool] = lambda _: True) -> bool:
    """Listen until the bell rings."""
    bell = Bell()
    with Listener(lambda: cast("Swarm", events), bell, matters).listening():
        return bell.wait(30)


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setattr(listen, "SHORTEST_PAUSE", 0.0)
    stream = io.StringIO()
    logs.configure(stream)
    return stream


def test_an_unexpected_error_is_reported_and_listening_goes_on(said: io.StringIO) -> None:
    events = _Events(_fails(RuntimeError("canary")), _fails(RuntimeError("canary")), _of({}))
    assert _heard(events)
    assert said.getvalue().count("events_failed") == 1
    assert "canary" not in said.getvalue()


def test_an_event_that_is_not_understood_is_reported_and_listening_goes_on(
    said: io.StringIO,
) -> None:
    events = _Events(_of(["no event"]), _of({"Type": "secret"}))
    assert _heard(events, lambda event: event.get("Type") == "secret")
    assert "AttributeError" in said.getvalue()


def test_trouble_with_the_engine_is_left_to_the_look(said: io.StringIO) -> None:
    assert _heard(_Events(_fails(SwarmUnreachable("away")), _of({})))
    assert said.getvalue() == ""


class _Follower:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def opened(self) -> None:
        self.told.append("opened")

    def closed(self) -> None:
        self.told.append("closed")

    def heard(self, event: Event) -> None:
        self.told.append(event)


def test_who_follows_is_told_of_all_before_the_bell_rings() -> None:
    """Also of events that are not worth a look, and of each stream that opens and ends."""
    first, second = {"Type": "config"}, {"Type": "secret"}
    events = _Events(_of({}, first), _fails(SwarmUnreachable("away")), _of({}, second))
    follower, bell = _Follower(), Bell()
    matters: Callable[[Event], bool] = lambda event: event.get("Type") == "secret"  # noqa: E731
    with Listener(lambda: cast("Swarm", events), bell, matters, follower).listening():
        assert bell.wait(30)
        told = list(follower.told)
    expected = ["opened", first, "closed", "closed", "opened", second]
    assert told[: len(expected)] == expected
