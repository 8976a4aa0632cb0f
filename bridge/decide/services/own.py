"""The bridge's own service, the one that the bridge which leads is a task of.

It may be given the very credential that the bridge logs in with. Then the bridge is replaced by one
that has the new credential, while the former one is valid still:

1. It comes last. Where the new bridge cannot lead at once, nothing else waits for it.
2. A version is not good there before the bridge that leads runs on it, and Vault has answered that
   one: a container that is healthy may have found Vault away, and proves nothing.
3. A version fails there where Vault refuses the login of a bridge that runs on it and leads. One
   that does not lead yet shows the same by being unhealthy, see ``stand_by``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bridge.decide.services.state import ServiceState
from bridge.decide.situation import Situation
from bridge.model.actions import rolled_service
from bridge.model.reasons import Reason
from bridge.model.service import Service
from bridge.model.vault_view import Unreadable


def is_own(service: Service, known: Situation) -> bool:
    """Return whether this bridge is a task of a service."""
    task = known.swarm.own_task
    return task is not None and task.service_id == service.id


@dataclass(frozen=True, slots=True)
class LastTurn:
    """The turn of the bridge's own service among those of the others (case 1).

    Whoever rotates without end does not keep it waiting: it comes after what was there to be rolled
    when its own version came, and before what came later.

    Attributes:
        service_id: Id of the own service; empty where it has nothing to roll forward.
        since: When its version was mirrored, seconds since the epoch.
        before: Names of the services that come first.
    """

    service_id: str = ""
    since: float = 0.0
    before: tuple[str, ...] = ()

    def rank(self, state: ServiceState) -> int:
        """Return the place of a service among the others: the lowest has its turn first."""
        if not self.service_id or _is_older(state, self.since):
            return 0
        return 1 if state.service.id == self.service_id else 2

    def why_not_now(self, state: ServiceState) -> str:
        """Return why a service has to wait for others; empty where it need not."""
        if state.service.id != self.service_id or not self.before:
            return ""
        return f"it is the bridge's own service, and comes after {', '.join(self.before)}"


def last_turn(states: Sequence[ServiceState], known: Situation) -> LastTurn:
    """Return the turn of the bridge's own service.

    What goes back, as it failed, waits for nobody. Nor does the own service wait for one whose
    update the engine has refused, and that is tried again.
    """
    own = next((s for s in states if s.ready and is_own(s.service, known)), None)
    if own is None or any(want.back for want in own.ready):
        return LastTurn()
    since = max(want.mirror.created for want in own.ready if want.mirror)
    refused = {rolled_service(key) for key in known.memory.backoffs}
    others = (s for s in states if s is not own and s.service.id not in refused)
    before = tuple(s.service.name for s in others if _is_older(s, since))
    return LastTurn(own.service.id, since, before)


def _is_older(state: ServiceState, since: float) -> bool:
    """Return whether a service is rolled, or is to be, to a version that was there by then."""
    service = state.service
    ready = [want.mirror for want in state.ready if want.mirror]
    held = [want.held for want in state.wants.values() if state.in_flight and want.held]
    rolled = [mirror for mirror in held if mirror.open_record(service.id)]
    return any(mirror.created <= since for mirror in (*ready, *rolled))


def awaits_answer(service: Service, on_trial: Collection[str], known: Situation) -> bool:
    """Return whether Vault has yet to answer the bridge that runs on a version (case 2).

    Args:
        on_trial: Ids of the versions that have yet to prove themselves on the service.
    """
    if not _runs_on(service, on_trial, known):
        return False
    seen = known.vault.paths.values()
    return all(isinstance(each, Unreadable) and each.away for each in seen)


def refused_login(service: Service, on_trial: Collection[str], known: Situation) -> str:
    """Return why a version fails on the bridge's own service (case 3); empty where it does not."""
    if not _runs_on(service, on_trial, known):
        return ""
    for seen in known.vault.paths.values():
        if isinstance(seen, Unreadable) and seen.reason == Reason.LOGIN_REFUSED and seen.everywhere:
            return f"the bridge that runs on it cannot log in: {seen.message}"
    return ""


def _runs_on(service: Service, on_trial: Collection[str], known: Situation) -> bool:
    task = known.swarm.own_task
    if task is None or task.service_id != service.id:
        return False
    return not task.secret_ids.isdisjoint(on_trial)
