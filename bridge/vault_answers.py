"""What Vault answered on each path, and whether it is away as a whole. Pure: it reads no clock.

1. A newer version of a path, and what is read for the first time, is known at once.
2. Any other change may be one of many: a policy that changed, a snapshot that is being restored. It
   is held back until the other paths were asked for as well, so that the change is seen as one.
3. The same where some answers are awaited, as the second look at what seems gone: they are known
   together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bridge.model.source import Source
from bridge.model.vault_view import NOT_YET, Document, KvDocument, Unreadable, VaultView

MOST_HUNG = 3
"""Requests in a row that may run into their time-out. With one more Vault as a whole is away, since
a look at all paths would take minutes."""

Seen = Mapping[Source, Document | Unreadable]


class VaultAnswers:
    """The latest answer on each path and role, with the time at which it was asked for.

    Times are seconds of any one clock.

    Attributes:
        hold_back: Seconds for which a change is held back that may be one of many.
        down: Why Vault as a whole gives no answer; None where it does. Then that holds for each
            path, and the answers from before hold again afterwards.
        retry_after: Seconds for which Vault asked to be left alone with its latest answer.
    """

    def __init__(self, sources: Sequence[Source], hold_back: float = 0.0) -> None:
        self.down: Unreadable | None = None
        self.retry_after = 0.0
        self._sources = sources
        self._seen: dict[Source, Document | Unreadable] = {}
        self._asked: dict[Source, float] = {}
        self._not_before: dict[Source, float] = {}
        self._awaited: set[Source] = set()
        self.hold_back = hold_back
        self._pending: dict[Source, tuple[Document | Unreadable, float]] = {}
        self._release_at = _NEVER
        self._latest = 0.0
        self._failures = self._hung = 0
        self._views: tuple[tuple[float, float | None], VaultView] | None = None

    @property
    def patient(self) -> bool:
        """Whether a request may be tried again at once: not after several failures in a row."""
        return self._failures <= 1

    @property
    def complete(self) -> bool:
        """Whether there is an answer on everything, or Vault as a whole is away."""
        return self.down is not None or len(self._seen) == len(self._sources)

    def expect(self, sources: Iterable[Source]) -> None:
        """Let the next answer on these be news, whatever it is."""
        self._awaited.update(sources)

    def forget(self, sources: Iterable[Source], now: float) -> None:
        """Forget the answers on these, and that on a request which was sent before now.

        Whether Vault as a whole is away is not known then either.
        """
        self.down = None
        for source in sources:
            self._seen.pop(source, None)
            self._asked.pop(source, None)
            self._pending.pop(source, None)
            self._not_before[source] = now
        self._views = None

    def note(self, seen: Seen, started: float, now: float, *, up: bool) -> bool:
        """Note the answers to one request; returns whether there is news.

        1. Vault as a whole is away where it says so and ``up`` confirms that, after ``MOST_HUNG``
           time-outs in a row, and where as many requests in a row failed as there are paths.
        2. Otherwise a path that cannot be read holds up no other (I8).

        Args:
            started: When they were asked for.
            up: Whether Vault as a whole answers.
        """
        was_down, self._views = self.down, None
        away = [each for each in seen.values() if isinstance(each, Unreadable) and each.away]
        self._failures = self._failures + 1 if away else 0
        self._hung = self._hung + 1 if any(each.hung for each in away) else 0
        self.retry_after = max((each.retry_after for each in away), default=0.0)
        whole = not up or self._hung > MOST_HUNG or self._failures >= len(self._sources)
        if away and whole:
            self.down, self._latest = replace(away[0], everywhere=True), started
            self._pending.clear()
            return was_down is None
        self.down = None
        news = [self._note(source, found, started, now) for source, found in seen.items()]
        return self.release(now) or any(news) or was_down is not None

    @property
    def release_at(self) -> float:
        """When to call ``release``; infinity while nothing is held back."""
        return self._release_at if self._pending else _NEVER

    def release(self, now: float) -> bool:
        """Let what was held back be known, if its time has come; returns whether it has."""
        if not self._pending or (self._awaited and now < self._release_at):
            return False
        changed = any(self._seen.get(s) != found for s, (found, _) in self._pending.items())
        if changed and now < self._release_at:
            return False
        for source, (found, asked) in self._pending.items():
            self._seen[source], self._asked[source] = found, asked
        self._pending.clear()
        self._release_at, self._views = _NEVER, None
        return True

    def is_outdated(self, source: Source, started: float) -> bool:
        """Return whether what was asked for then is to be asked for again."""
        return started < self._not_before.get(source, started)

    def view(self, ahead: float, again: float | None = None) -> VaultView:
        """Return what is known. What was not read yet is ``NOT_YET``.

        Args:
            ahead: Seconds by which the time since the epoch is ahead of the clock.
            again: When the next look is due, seconds since the epoch.
        """
        if self._views is None or self._views[0] != (ahead, again):
            self._views = (ahead, again), self._view(ahead, again)
        return self._views[1]

    def _view(self, ahead: float, again: float | None) -> VaultView:
        down, seen = self.down, self._seen
        return VaultView(
            as_of=self._latest + ahead,
            paths={source: down or seen.get(source, NOT_YET) for source in self._sources},
            again=again,
            asked={} if down else {source: at + ahead for source, at in self._asked.items()},
        )

    def _note(
        self, source: Source, found: Document | Unreadable, started: float, now: float
    ) -> bool:
        if self.is_outdated(source, started) or started < self._asked.get(source, started):
            return False
        if isinstance(found, Unreadable) and found.everywhere:
            found = replace(found, everywhere=False)
        before, awaited = self._seen.get(source), source in self._awaited
        self._awaited.discard(source)
        self._latest = max(self._latest, started)
        if before is not None and (awaited or before != found) and not _is_newer(found, before):
            self._pending[source] = found, started
            self._release_at = min(self._release_at, now + self.hold_back)
            return False
        self._pending.pop(source, None)
        self._asked[source] = started
        if before == found:
            return False
        self._seen[source] = found
        return awaited or before is not None


def _is_newer(found: Document | Unreadable, before: Document | Unreadable) -> bool:
    """Return whether a path has a newer version than before, in the same life of the path."""
    if not (isinstance(found, KvDocument) and isinstance(before, KvDocument)):
        return False
    return found.path_created == before.path_created and found.current > before.current


_NEVER = float("inf")
