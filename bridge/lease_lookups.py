"""What is known of each lease of ours, and which of them are asked about again in a look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bridge.model.leased import GenerationView, Life, Unknown
from bridge.model.mirror import Mirror
from bridge.model.swarm_view import SwarmView
from bridge.model.vault_view import Unreadable, VaultView
from bridge.observe_vault import look_at_generation
from bridge.servers.vault import Vault
from bridge.vault_answers import MOST_HUNG

REQUESTS = 2
"""Requests to Vault that a look at one generation takes."""

LEAST_PAUSE = 1.0
"""Seconds between two looks at Vault at least, however soon a lease may end."""


class Lookups:
    """Keeps what Vault answered on each generation until it is asked again."""

    def __init__(self, vault: Vault, instance: str) -> None:
        self._vault = vault
        self._instance = instance
        self._views: dict[str, GenerationView] = {}
        self._ends: dict[str, float] = {}

    @property
    def views(self) -> Mapping[str, GenerationView]:
        """What is known of each generation, by the id of its Docker secret."""
        return dict(self._views)

    def move(self, by: float) -> None:
        """Follow a clock that was set by so many seconds."""
        self._views = {key: view.moved(by) for key, view in self._views.items()}
        self._ends = {key: end + by for key, end in self._ends.items()}

    def forget(self, secret_ids: Iterable[str] | None = None) -> None:
        """Let the next look ask about some generations, or about all."""
        for secret_id in list(self._views if secret_ids is None else secret_ids):
            self._views.pop(secret_id, None)

    def age(self, budget: float) -> None:
        """Let the next look ask about what is in doubt, and what was looked up the longest ago.

        When a lease is to be renewed is known from the answer before, so that hundreds of them need
        not be asked about each time.

        Args:
            budget: Requests that the next look may spend on what is not in doubt.
        """
        most = max(1, int(budget / REQUESTS))
        plain = {key: view for key, view in self._views.items() if view.is_plain}
        oldest = sorted(plain, key=lambda key: plain[key].as_of)[:most]
        self._views = {key: view for key, view in plain.items() if key not in oldest}

    def look(
        self,
        swarm: SwarmView,
        vault: VaultView,
        clock: Callable[[], float],
        between: Callable[[], object] = lambda: None,
    ) -> None:
        """Ask about what is not known. While Vault as a whole is away nothing is known of any.

        Args:
            between: Called before each generation, since many of them take their time.
        """
        away = (s for s in vault.paths.values() if isinstance(s, Unreadable) and s.everywhere)
        seen = next(away, None)
        down = Unknown(seen.reason, seen.message) if seen else None
        known, self._views, failed = self._views, {}, 0
        for mirror in swarm.mirrors:
            if not self._is_asked_about(mirror):
                continue
            view, now = known.get(mirror.id), clock()
            if down:
                view = GenerationView(now, down, down)
            elif view is None or view.is_outdated(now):
                between()
                view = look_at_generation(self._vault, mirror, now)
                if isinstance(view.lease, Unknown) and view.lease.away:
                    failed += 1
                    hopeless = failed >= MOST_HUNG or not self._vault.is_up()
                    down = view.lease if hopeless else None
            self._views[mirror.id] = view

    def next_look(self, now: float) -> float | None:
        """Return when to ask Vault at the latest, where a lease may end unseen; else None."""
        times: list[float] = []
        for secret_id, view in self._views.items():
            if isinstance(view.lease, Life):
                self._ends[secret_id] = view.lease.ends
            elif isinstance(view.lease, Unknown) and self._ends.get(secret_id, 0.0) > now:
                times.append(now + max(LEAST_PAUSE, (self._ends[secret_id] - now) / 4))
        self._ends = {key: end for key, end in self._ends.items() if key in self._views}
        return min(times, default=None)

    def _is_asked_about(self, mirror: Mirror) -> bool:
        leased = mirror.leased
        ours = mirror.instance == self._instance
        return ours and leased is not None and bool(leased.lease) and not leased.ended
