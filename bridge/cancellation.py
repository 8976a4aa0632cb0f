"""Ends waits and looks when there is no time left for them: on a stop, or when the lease is lost.

A request to a server may hang for as long as its time-out, in a name's look-up, a connection or an
answer, and no signal ends it there. So each one is sent in a thread of its own, and who waits for
it can stop waiting. What is given up depends on what it is:

1. A *look* or a *wait* is given up at once. The thread may still get its answer, which nobody
   reads, and it ends with the process.
2. A *write* that was not sent yet is not sent.
3. A *write in flight* is unknown until its answer comes (I13), and some cannot be undone. It has
   ``GRACE`` seconds from the stop on. So has a block that must be whole, such as the making of a
   credential and the creation of its Docker secret.
4. Where the answer of a write has not come even then, the process ends, and the leader's lease is
   *not* released: it is left as after ``kill -9``, so that no next leader begins at once while
   that write may yet be carried out.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeVar

from bridge.clock import boot_clock
from bridge.errors import Cancelled

GRACE = 5.0
"""Seconds that a write in flight has after a stop. Docker kills a process 10 s after its SIGTERM,
and the lease is yet to be released."""

TICK = 1.0
"""Seconds between two looks at the lease while something is waited for."""

_T = TypeVar("_T")
_Result = Callable[[], object]


@dataclass(slots=True)
class _State:
    """What all cancellations of one loop share.

    Attributes:
        at: When the stop was asked for.
        waiting: Where those are woken that wait.
        graces: When each block that has a grace was entered, and how many seconds it has.
    """

    at: float | None = None
    unfinished: bool = False
    waiting: list[SimpleQueue[_Result | None]] = field(default_factory=list)
    graces: list[tuple[float, float]] = field(default_factory=list)  # the outermost first


class Cancellation:
    """Tells those who wait for a server that there is no time left.

    Args:
        lost: Asked again and again while something is waited for: whether to give up although
            nobody asked for a stop. Not asked about a write in flight.
        hasty: Whether a write in flight is given up as a look is.

    Attributes:
        progress: When the latest wait by this very one came to its end, on its clock.
    """

    def __init__(
        self,
        lost: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = boot_clock,
        *,
        hasty: bool = False,
    ) -> None:
        self._lost = lost
        self._clock = clock
        self._hasty = hasty
        self._in_place = False
        self._state = _State()
        self.progress = clock()

    def also(self, lost: Callable[[], bool], *, hasty: bool = False) -> Cancellation:
        """Return one that is cancelled together with this one, and where something is lost."""
        other = Cancellation(lost, self._clock, hasty=hasty)
        other._state = self._state
        return other

    def in_place(self) -> Cancellation:
        """Return one that is cancelled together with this one, for a thread nobody waits for.

        What it runs is called in that thread itself, and is not given up: the thread may hang, and
        ends with the process.
        """
        other = Cancellation(clock=self._clock)
        other._state, other._in_place = self._state, True
        return other

    def cancel(self) -> None:
        """Ask everybody to stop; safe in a signal handler, and from any thread."""
        if self._state.at is None:
            self._state.at = self._clock()
        for waiting in tuple(self._state.waiting):
            waiting.put(None)

    @property
    def asked(self) -> bool:
        """Whether somebody asked everybody to stop."""
        return self._state.at is not None

    @property
    def unfinished(self) -> bool:
        """Whether a write was given up whose answer had not come."""
        return self._state.unfinished

    @contextlib.contextmanager
    def grace(self, seconds: float = GRACE) -> Generator[None]:
        """Let a block go on for some seconds after a stop, or after its own beginning."""
        grace = self._clock(), seconds
        self._state.graces.append(grace)
        try:
            yield
        finally:
            self._state.graces.remove(grace)

    @contextlib.contextmanager
    def whole(self) -> Generator[None]:
        """Let a block end that must not end in its middle, for a while.

        Raises:
            Cancelled: There is no time left even to begin it.
        """
        self.check()
        with self.grace():
            yield

    def check(self) -> None:
        """Go on if there is time left.

        Raises:
            Cancelled: There is none.
        """
        left = self._left()
        if left is not None and left <= 0:
            raise Cancelled("it was asked to stop")
        if not self._state.graces and self._lost():
            raise Cancelled("the leader's lease is lost")

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises ``Cancelled``."""
        self.check()
        end = self._clock() + seconds
        with self._woken() as answers:
            while (left := end - self._clock()) > 0:
                self._next(answers, min(left, TICK))
                self.check()

    def run(self, call: Callable[[], _T], *, write: bool = False) -> _T:
        """Call something that may hang, and return what it returns.

        Args:
            write: Whether it may change something, so that its answer is waited for, see above.

        Raises:
            Cancelled: It was not begun, or its answer is given up.
        """
        self.check()
        if self._in_place:
            return call()
        write = write and not self._hasty
        found: list[_T] = []

        def work() -> None:
            try:
                found.append(call())
                answers.put(lambda: None)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                answers.put(_raises(error))

        with self._woken() as answers, self.grace() if write else contextlib.nullcontext():
            threading.Thread(target=work, daemon=True).start()
            while (answer := self._next(answers, TICK)) is None:
                try:
                    self.check()
                except Cancelled:
                    self._state.unfinished |= write
                    raise
            self.progress = self._clock()
            answer()
            return found[0]

    def _left(self) -> float | None:
        """Return how many seconds are left; None where nobody asked for a stop."""
        at = self._state.at
        if at is None:
            return None
        # What is within a block has no more than that.
        entered, seconds = self._state.graces[0] if self._state.graces else (at, 0.0)
        return max(at, entered) + seconds - self._clock()

    @contextlib.contextmanager
    def _woken(self) -> Generator[SimpleQueue[_Result | None]]:
        """Make a queue at which ``cancel`` wakes too."""
        answers: SimpleQueue[_Result | None] = SimpleQueue()
        self._state.waiting.append(answers)
        try:
            yield answers
        finally:
            self._state.waiting.remove(answers)

    def _next(self, answers: SimpleQueue[_Result | None], seconds: float) -> _Result | None:
        """Wait for an answer; None where it is time to look whether to go on."""
        left = self._left()
        with contextlib.suppress(Empty):
            return answers.get(timeout=min(seconds, TICK if left is None else max(left, 0.0)))
        return None


def _raises(error: BaseException) -> _Result:
    def answer() -> None:
        raise error

    return answer
