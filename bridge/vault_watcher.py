"""Watches Vault beside the cycle: asks for each path at its own pace, and hands over what it knows.

The cycle takes the newest view and goes on, however long a look takes. Nothing is decided here: an
answer that differs from the last one wakes the loop, and that is all.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from math import inf

from bridge.clock import Clock
from bridge.errors import Cancelled
from bridge.logs import logger, where
from bridge.model.desired import Desired
from bridge.model.events import Event
from bridge.model.settings import Settings
from bridge.model.source import Source
from bridge.model.vault_view import VaultView
from bridge.observe_vault import is_up_after, look_at
from bridge.servers.vault import Vault
from bridge.sources.folder import Apart, Unit
from bridge.sources.units import Units
from bridge.vault_answers import VaultAnswers
from bridge.vault_schedule import MOST_OF_RPS, VaultSchedule, watch_period

FIRST_LOOK = 2.0
"""Seconds for which a cycle waits at most for answers that it lacks. A first look at some hundred
paths takes longer; what is known is acted on meanwhile."""

NEWS_GAP = 1.0
"""Seconds between two wakes of the loop for paths that are read for the first time."""

STAND_IN = 0.25
"""Seconds by which a request must be late for a second thread to send it, and twice that for a
third one."""

LONGEST_HOLD_BACK = 5.0
"""Seconds for which a change is held back at most that may be one of many."""

_SIGNAL_GAP = 0.05
"""Seconds after which a wait looks whether it is to stop: a signal handler cannot notify it."""


class VaultWatcher:
    """Knows each path and role that is configured as it was read last.

    Within ``watching`` it asks in threads of its own; otherwise in the caller's, by ``catch_up``.

    Args:
        vault: The session of the cycle.
        beside: Returns a session for another thread.
        clock: Requests are planned on its boot clock; views tell the time since the epoch.
    """

    def __init__(
        self,
        vault: Vault,
        beside: Callable[[], Vault],
        desired: Desired,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._vault = vault
        self._beside = beside
        self._clock = clock
        self._sources = desired.sources
        self._threads = settings.vault.max_connections
        self._interval, self._max_rps = settings.poll_interval, settings.vault.max_rps
        self._units, self._logins = Units(self._sources), 0
        self._fresh_from, self._stale = 0.0, set[Source]()
        units = self._units.at(clock.boot())
        period = watch_period(self._interval, len(units), self._max_rps)
        offset = random.random()  # noqa: S311 - no secret depends on it
        self._schedule = VaultSchedule(units, period, offset)
        self._answers = VaultAnswers(self._sources, _hold_back(period))
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._answered = threading.Condition(lock)
        self._ring: Callable[[], object] = lambda: None
        self._rung, self._told = 0.0, False
        self._active = self._watched = False
        self._patience = FIRST_LOOK
        self._log = logger()

    # --- what the cycle asks ---------------------------------------------------------------------

    @property
    def period(self) -> float:
        """Seconds between two requests for one path, as far as ``max_rps`` allows."""
        return self._schedule.period

    @property
    def due(self) -> float | None:
        """When something is due, on the boot clock; None while threads watch."""
        with self._changed:
            return None if self._watched else self._schedule.due()

    def view(self) -> VaultView:
        """Return what is known now."""
        with self._changed:
            ahead = self._clock.ahead
            again = self._schedule.resumes + ahead if self._answers.down else None
            return self._answers.view(ahead, again)

    def told(self, patience: float, again: Collection[Source] = ()) -> VaultView | None:
        """Return what is known, for a command beside this bridge; None while threads do not watch.

        Where a look at everything takes no longer than the patience, everything is asked for anew:
        the command would have asked as well. Else it is what was read last.

        Args:
            patience: Seconds for which answers are waited for at most.
            again: What is asked for anew, even where everything takes longer than that.
        """
        with self._changed:
            if not (self._active and self._watched):
                return None
            began = self._clock.boot()
            quick = self._schedule.count <= patience * self._max_rps * MOST_OF_RPS
            known = set(self._sources)
            self._fresh_from, self._stale = began, known if quick else known.intersection(again)
            self._wait_for_stale(began + patience)
        return self.view()

    def _wait_for_stale(self, end: float) -> None:
        while self._stale and not self._answers.down:
            left = end - self._clock.boot()
            if left <= 0:
                return
            self._schedule.want(self._stale, self._fresh_from)
            self._changed.notify_all()
            self._answered.wait(left)

    def want(self, sources: Iterable[Source], seconds: float) -> None:
        """Let these be asked for within so many seconds, and the answers wake the loop."""
        wanted = list(sources)
        with self._changed:
            self._answers.expect(wanted)
            self._schedule.want(wanted, self._clock.boot() + seconds)
            self._changed.notify_all()

    def prefer(self, sources: Iterable[Source]) -> None:
        """Let these come first among what is due."""
        with self._changed:
            self._schedule.prefer(sources)

    def forget(self, sources: Iterable[Source]) -> None:
        """Forget what is known of some paths, and ask for them at once."""
        gone = list(sources)
        with self._changed:
            now = self._forget(gone)
            self._answers.expect(gone)
            self._schedule.want(gone, now)

    def forget_all(self) -> None:
        """Forget everything, and ask for it at once."""
        with self._changed:
            self._schedule.all_due(self._forget(self._sources))

    def _forget(self, gone: Sequence[Source]) -> float:
        """Lack the answers on these from now on; returns the time of the boot clock."""
        now = self._clock.boot()
        self._answers.forget(gone, now)
        self._patience, self._told, self._rung = FIRST_LOOK, False, now
        self._changed.notify_all()
        return now

    def hurry(self, seconds: float) -> None:
        """Ask again within so many seconds while Vault is away, as before a lease ends."""
        with self._changed:
            self._schedule.hurry(self._clock.boot() + seconds)
            self._changed.notify_all()

    def pause(self) -> None:
        """Ask for nothing until ``go_on``: another bridge leads."""
        with self._changed:
            self._active = False

    def go_on(self, stopping: Callable[[], bool]) -> None:
        """Go on, and wait for answers that are lacking: ``FIRST_LOOK`` at most, and only once.

        Where no thread watches, all that is due is asked for here. Raises ``Cancelled``.
        """
        with self._changed:
            if not self._active:
                self._active = True
                self._changed.notify_all()
            if self._watched:
                self._wait(stopping)
                return
        self.catch_up()

    def _wait(self, stopping: Callable[[], bool]) -> None:
        end, self._patience = self._clock.boot() + self._patience, 0.0
        while not self._answers.complete and not stopping():
            left = end - self._clock.boot()
            if left <= 0:
                break
            self._answered.wait(min(left, _SIGNAL_GAP))

    # --- asking ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watching(self, ring: Callable[[], object]) -> Generator[None]:
        """Ask in threads until the block ends.

        Args:
            ring: Wakes the loop; called from any of them.
        """
        over = threading.Event()
        with self._changed:
            self._ring, self._watched = ring, True
            self._rung = self._clock.boot()
        for number in range(self._threads):
            late = number * STAND_IN
            threading.Thread(target=self._watch, args=(over, late), daemon=True).start()
        try:
            yield
        finally:
            with self._changed:
                over.set()
                self._watched = False
                self._changed.notify_all()

    def catch_up(self) -> None:
        """Ask for all that is due now, in this thread. Raises ``Cancelled``."""
        now = self._clock.boot()
        while True:
            with self._changed:
                self._try_together(now)
                unit = self._schedule.take(now)
                if unit is None:
                    self._answers.release(float("inf"))
                    return
            self._ask(self._vault, unit)

    def _watch(self, over: threading.Event, late: float) -> None:
        vault = self._beside()
        while unit := self._next(over, late):
            try:
                self._ask(vault, unit)
            except Cancelled:
                return
            except Exception as error:  # noqa: BLE001 - it goes on watching whatever happens
                self._log.error(Event.VAULT_WATCH_FAILED, error=where(error))
                over.wait(NEWS_GAP)
        vault.disconnect()

    def _next(self, over: threading.Event, late: float) -> Unit | None:
        """Wait for what is due next; None once it is over.

        Args:
            late: Seconds for which it is left to the other threads. One is enough while Vault
                answers quickly, and each that wakes besides costs as much as half a request.
        """
        with self._changed:
            while not over.is_set():
                now = self._clock.boot()
                if self._answers.release(now):
                    self._ring()
                self._try_together(now)
                due = self._schedule.due() + late if self._active else threading.TIMEOUT_MAX
                if due <= now and (unit := self._schedule.take(now)):
                    return unit
                due = min(due, self._answers.release_at)
                self._changed.wait(min(due - now, threading.TIMEOUT_MAX))
        return None

    def _ask(self, vault: Vault, unit: Unit) -> None:
        """Ask for one unit. Where that ends with an error, it is asked for in the next period."""
        started = self._clock.boot()
        try:
            seen = look_at(vault, unit, patient=self._answers.patient)
            if isinstance(seen, Apart):
                self._fall_apart(unit, seen, started)
                return
            up = is_up_after(vault, seen)
        except BaseException:
            with self._changed:
                self._schedule.answered(unit, started)
            raise
        with self._changed:
            now = self._clock.boot()
            news = self._answers.note(seen, started, now, up=up)
            if started >= self._fresh_from:
                self._stale.difference_update(unit)
            if self._answers.down:
                self._schedule.failed(unit, now, self._answers.retry_after)
            else:
                self._schedule.answered(unit, started)
                if self._answers.retry_after:
                    self._schedule.rest(now + self._answers.retry_after)
                outdated = [s for s in unit if self._answers.is_outdated(s, started)]
                self._schedule.want(outdated, now)
            wakes = news or self._tells_first(now)
            self._answered.notify_all()
        if wakes:
            self._ring()

    def _fall_apart(self, unit: Unit, why: Apart, started: float) -> None:
        """Ask one by one, at once, for what is not to be had together."""
        with self._changed:
            now = self._clock.boot()
            self._logins = self._vault.logins
            self._units.learn(unit, why, now)
            self._schedule.answered(unit, started)
            self._lay_out(now)
            self._schedule.want(unit, 0.0)
            self._changed.notify_all()

    def _try_together(self, now: float) -> None:
        """Ask for folders as a whole again where it is time, or after a fresh login."""
        if self._units.changes == inf:
            return
        if self._vault.logins != self._logins:
            self._logins = self._vault.logins
            self._units.relearn()
        elif now < self._units.changes:
            return
        self._lay_out(now)

    def _lay_out(self, now: float) -> None:
        units = self._units.at(now)
        period = watch_period(self._interval, len(units), self._max_rps)
        self._schedule.lay_out(units, period)
        self._answers.hold_back = _hold_back(period)

    def _tells_first(self, now: float) -> bool:
        """Return whether the loop is to be woken for what was read for the first time."""
        complete = self._answers.complete
        if self._told or not (complete or now - self._rung >= NEWS_GAP):
            return False
        self._told, self._rung = complete, now
        return True


def _hold_back(period: float) -> float:
    """Return the seconds in which all other paths are asked for too."""
    return min(period * 1.25, LONGEST_HOLD_BACK)
