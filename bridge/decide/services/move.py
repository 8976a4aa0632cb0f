"""Where does each service stand, and what moves next?

1. ``wants``: what should each service have of each secret?
2. ``judge``: how far is its roll, did it fail, who is to blame?
3. ``eligible``: which changes does no gate hold up?
4. ``turns``: whose turn is it?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bridge.decide.decision import Decision, total
from bridge.decide.services.eligible import pass_gates
from bridge.decide.services.file_fields import carry_out_fields, fields_asked, refused_fields
from bridge.decide.services.gates import JustFound
from bridge.decide.services.judge import judge
from bridge.decide.services.state import ServiceState
from bridge.decide.services.turns import give_turns
from bridge.decide.services.wants import wants_by_service
from bridge.decide.situation import Situation
from bridge.decide.versions.not_understood import unread_service
from bridge.decide.versions.target import Target, missing_service
from bridge.model.conditions import Hold
from bridge.model.reasons import Reason
from bridge.model.service import Service


@dataclass(frozen=True)
class Services:
    """Each service that has to do with a secret of ours, and what is concluded about them."""

    states: tuple[ServiceState, ...]
    decision: Decision

    def of_secret(self, name: str) -> Sequence[ServiceState]:
        """Return the services that have to do with a secret."""
        return self._by_secret.get(name, ())

    @cached_property
    def _by_secret(self) -> Mapping[str, Sequence[ServiceState]]:
        found: dict[str, list[ServiceState]] = {}
        for state in self.states:
            for name in state.wants:
                found.setdefault(name, []).append(state)
        return found

    @property
    def moving(self) -> bool:
        """Whether the tasks of any service are on their way."""
        return any(state.moving for state in self.states)


def move_services(targets: Sequence[Target], wished: frozenset[str], known: Situation) -> Services:
    """Return how each service is doing, and the rolls that begin or go on now.

    Args:
        wished: Names of the secrets for which an operator's wish is carried out in this cycle.
    """
    fields = fields_asked(targets, known)
    wanted = wants_by_service(targets, known.swarm, fields.names)
    judged = [
        judge(service, wanted[service.id], known)
        for service in _in_order(targets, known)
        if service.id in wanted
    ]
    found = JustFound(
        wished=wished,
        failing=frozenset[str]().union(*(state.failing for state in judged)),
        alive=frozenset(known.swarm.service_by_id) | {odd.id for odd in known.swarm.unread},
        state_lost=is_state_lost(known),
    )
    passed = [pass_gates(state, found, known) for state in judged]
    states, rolls = give_turns(passed, known)
    first = Decision(
        chains=tuple(carry_out_fields(fields, states, known.swarm)),
        holds=(*_missing_services(targets, known), *refused_fields(fields, known.swarm)),
    )
    # What was found of a roll is written before another begins: a failure frees a place in flight,
    # which a bridge that is stopped in between must not have given to a second service (I7).
    found_out = (state.decision for state in states)
    decision = total((first, *found_out, Decision(chains=tuple(rolls))))
    return Services(tuple(states), decision)


def is_state_lost(known: Situation) -> bool:
    """Return whether the state config is gone though there are mirrors.

    What was paused is gone with it. Then everything is held: its loss must let nothing go on.
    """
    return not known.swarm.has_state and any(known.mirrors)


def _in_order(targets: Iterable[Target], known: Situation) -> list[Service]:
    """Return the services in the configuration's order, then all others by their names."""
    swarm = known.swarm
    listed = (m.service for target in targets for m in target.secret.services)
    order = {name: swarm.service_by_name[name] for name in listed if name in swarm.service_by_name}
    others = sorted(swarm.services, key=lambda service: service.name)
    return list({service.id: service for service in (*order.values(), *others)}.values())


def _missing_services(targets: Iterable[Target], known: Situation) -> list[Hold]:
    """Return a hold for each service of the configuration that is not in the swarm."""
    return [
        unread_service(target.secret.name, mapping.service, known.swarm)
        or Hold(
            secret=target.secret.name,
            reason=Reason.SERVICE_MISSING,
            message=missing_service(mapping.service, known.swarm),
            service=mapping.service,
        )
        for target in targets
        for mapping in target.secret.services
        if mapping.service not in known.swarm.service_by_name
    ]
