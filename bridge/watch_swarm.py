"""Looks at the swarm: at all of it, or at what has changed and what moves."""

from __future__ import annotations

from dataclasses import replace

from bridge.clock import Clock
from bridge.errors import NotFound, NotGranted, SwarmRefused
from bridge.model.swarm_view import SwarmView
from bridge.observe_swarm import see_again, see_swarm
from bridge.processes import this_container
from bridge.servers.swarm import Swarm
from bridge.swarm_cache import Again, Seen, SwarmCache


class SwarmWatch:
    """What one bridge sees of the swarm.

    Args:
        instance: Name of the bridge.

    Attributes:
        cache: Is to be told of the swarm's events; until it is, every look is a whole one.
        is_whole: Whether the latest look was at all of the swarm.
    """

    def __init__(self, swarm: Swarm, instance: str, clock: Clock) -> None:
        self._swarm = swarm
        self._instance = instance
        self._clock = clock
        self._container = this_container()
        self.cache = SwarmCache(instance)
        self.is_whole = True

    def look(self) -> SwarmView:
        """Look at what has changed and what moves, or at all where that is not known.

        Raises:
            SwarmUnreachable: The swarm gives no usable answer.
        """
        begun = self.cache.begin(self._clock.boot())
        seen = self._look_again(*begun) if begun else None
        if seen is None:
            return self.look_at_all()
        self.cache.keep(seen)
        self.is_whole = False
        return seen.view

    def look_at_all(self) -> SwarmView:
        """Look at the whole swarm.

        Raises:
            SwarmUnreachable: The swarm gives no usable answer.
        """
        now = self._clock.boot()
        self.cache.begin(now)
        seen = see_swarm(self._swarm, self._instance, self._clock())
        seen = replace(seen, view=replace(seen.view, container=self._container))
        self.cache.keep(seen, now)
        self.is_whole = True
        return seen.view

    def _look_again(self, seen: Seen, again: Again) -> Seen | None:
        """Look at some objects; None where the whole swarm is to be looked at.

        1. A proxy before the engine has the rules of an earlier bridge, and lets no question for
           single objects through.
        2. A service has gone in between.
        """
        try:
            return see_again(self._swarm, seen, again, self._instance)
        except NotGranted:  # 1
            self.cache.stop()
        except (NotFound, SwarmRefused):  # 2
            pass
        return None
