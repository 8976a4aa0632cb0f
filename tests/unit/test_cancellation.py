"""What is given up when there is no time left, and what is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bridge import cancellation as module
from bridge.cancellation import GRACE, Cancellation
from bridge.errors import Cancelled


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def cancellation(clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> Cancellation:
    monkeypatch.setattr(module, "TICK", 0.01)
    return Cancellation(clock=clock)


@contextmanager
def _hanging() -> Iterator[tuple[Callable[[], str], threading.Event]]:
    """A call that hangs until the block ends, and an event that says that it was begun."""
    begun, over = threading.Event(), threading.Event()

    def call() -> str:
        begun.set()
        over.wait(60)
        return "answer"

    try:
        yield call, begun
    finally:
        over.set()


def _cancel_when(begun: threading.Event, cancellation: Cancellation) -> None:
    def cancel() -> None:
        begun.wait(60)
        cancellation.cancel()

    threading.Thread(target=cancel, daemon=True).start()


def test_answers_and_errors_come_through(cancellation: Cancellation) -> None:
    assert cancellation.run(lambda: 7) == 7
    with pytest.raises(KeyError):
        cancellation.run(dict[str, str]().popitem)


def test_a_look_that_hangs_is_given_up(cancellation: Cancellation) -> None:
    with _hanging() as (call, begun):
        _cancel_when(begun, cancellation)
        with pytest.raises(Cancelled):
            cancellation.run(call)
    assert not cancellation.unfinished


def test_nothing_is_begun_after_a_stop(cancellation: Cancellation) -> None:
    cancellation.cancel()
    for write in (False, True):
        with pytest.raises(Cancelled):
            cancellation.run(lambda: pytest.fail("it was begun"), write=write)
    with pytest.raises(Cancelled):
        cancellation.sleep(60)
    assert not cancellation.unfinished


def test_a_sleeper_is_woken(cancellation: Cancellation) -> None:
    woken = threading.Event()
    _cancel_when(woken, cancellation)
    woken.set()
    with pytest.raises(Cancelled):
        cancellation.sleep(1e9)


def test_the_answer_of_a_write_is_waited_for(cancellation: Cancellation) -> None:
    """I13: it was sent, so it is unknown until its answer comes."""
    begun, over = threading.Event(), threading.Event()

    def write() -> str:
        begun.set()
        over.wait(60)
        return "answer"

    def stop() -> None:
        begun.wait(60)
        cancellation.cancel()
        over.set()

    threading.Thread(target=stop, daemon=True).start()
    assert cancellation.run(write, write=True) == "answer"
    assert not cancellation.unfinished


def test_a_write_without_an_answer_is_given_up_in_the_end(
    cancellation: Cancellation, clock: _Clock
) -> None:
    """And it is remembered, so that nobody else is let lead before its time."""
    with _hanging() as (call, begun):

        def stop() -> None:
            begun.wait(60)
            cancellation.cancel()
            clock.now += GRACE

        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(Cancelled):
            cancellation.run(call, write=True)
    assert cancellation.unfinished


def test_a_block_with_a_grace_goes_on_after_a_stop(
    cancellation: Cancellation, clock: _Clock
) -> None:
    """A credential that was made is put into its Docker secret."""
    with cancellation.whole():
        cancellation.cancel()
        clock.now += 4
        assert cancellation.run(lambda: 1) == 1
        assert cancellation.run(lambda: 2, write=True) == 2
        clock.now += 1
        with pytest.raises(Cancelled):
            cancellation.run(lambda: 3)
    clock.now += 1000
    with pytest.raises(Cancelled), cancellation.whole():
        pytest.fail("it was begun")
    with cancellation.grace(2):  # the lease is released after everything else
        assert cancellation.run(lambda: 4) == 4
    with pytest.raises(Cancelled):
        cancellation.run(lambda: 5)


def test_what_rests_on_the_lease_is_given_up_when_it_is_lost(cancellation: Cancellation) -> None:
    lost = threading.Event()
    work = cancellation.also(lost.is_set)
    with _hanging() as (call, begun):

        def lose() -> None:
            begun.wait(60)
            lost.set()

        threading.Thread(target=lose, daemon=True).start()
        with pytest.raises(Cancelled):
            work.run(call)
    assert cancellation.run(lambda: 1) == 1  # and so the lease can be had again


def test_a_stop_reaches_all(cancellation: Cancellation) -> None:
    work = cancellation.also(lambda: False)
    cancellation.cancel()
    with pytest.raises(Cancelled):
        work.run(lambda: 1)


def test_who_is_hasty_does_not_wait_for_a_write(cancellation: Cancellation) -> None:
    """A heartbeat that is carried out late does no harm."""
    hasty = cancellation.also(lambda: False, hasty=True)
    with _hanging() as (call, begun):
        _cancel_when(begun, cancellation)
        with pytest.raises(Cancelled):
            hasty.run(call, write=True)
    assert not cancellation.unfinished
