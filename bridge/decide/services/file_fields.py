"""Whose changed file fields are applied at once, because an operator asked for it?

Otherwise they come with the next roll of a service. The wish is over once no service differs any
more, so that repeating it does nothing. A roll for fields alone that Swarm rolled back is not tried
again: nothing else would ever end it, as the version that services are on is a good one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.decide.services.blame import ROLLED_BACK
from bridge.decide.services.state import ServiceState
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.actions import Chain, NoteState
from bridge.model.conditions import Hold
from bridge.model.reasons import Reason
from bridge.model.service import Service
from bridge.model.swarm_view import SwarmView
from bridge.model.wishes import FIELDS


@dataclass(frozen=True, slots=True)
class FieldsAsked:
    """Whose file fields are applied at once.

    Attributes:
        names: Of the secrets.
        refused: Why the fields of a secret are applied no further, by its name; found just now.
    """

    names: frozenset[str]
    refused: dict[str, str]


def fields_asked(targets: Sequence[Target], known: Situation) -> FieldsAsked:
    """Return the secrets whose file fields are applied at once."""
    if known.desired.apply_fields:
        return FieldsAsked(frozenset(secret.name for secret in known.desired.secrets), {})
    swarm = known.swarm
    refused: dict[str, str] = {}
    names: set[str] = set()
    for target in targets:
        wish = swarm.fields.get(target.secret.name)
        if wish is None or wish.refused:
            continue
        back = next((s for s in swarm.services if _went_back(s, target)), None)
        if back is None:
            names.add(target.secret.name)
        else:
            why = f"the update of {back.name} was rolled back ({back.update_message})"
            refused[target.secret.name] = why
    return FieldsAsked(frozenset(names), refused)


def _went_back(service: Service, target: Target) -> bool:
    """Return whether a roll of a service that changed file fields only was rolled back."""
    if service.update not in ROLLED_BACK:
        return False
    return any(
        mirror.id in service.secret_ids
        and (record := mirror.open_record(service.id)) is not None
        and record.before_ids == {mirror.id}
        and record.started != service.update_started
        for mirror in target.mirrors
    )


def carry_out_fields(
    asked: FieldsAsked, states: Sequence[ServiceState], swarm: SwarmView
) -> list[Chain]:
    """Return the notes that end wishes: those carried out, and those that go no further.

    A service that is being rolled may yet be rolled back. Those that are never rolled (jobs) do not
    count.
    """
    if not swarm.fields:
        return []
    differing = {
        want.name
        for state in states
        for want in state.wants.values()
        if not state.service.reruns
        and (want.changes or (want.held and want.held.open_record(state.service.id)))
    }
    chains: list[Chain] = []
    for name, wish in sorted(swarm.fields.items()):
        label = f"{FIELDS}{name}"
        if name not in differing:
            why = f"no service has other file fields for {name} than the configuration"
            note = NoteState(name, {}, {label: wish.write()}, Reason.WISHED, why)
            chains.append((note,))
        elif name in asked.refused:
            why = asked.refused[name]
            put = {label: replace(wish, refused=why).write()}
            chains.append((NoteState(name, put, {}, Reason.WISH_REFUSED, why),))
    return chains


def refused_fields(asked: FieldsAsked, swarm: SwarmView) -> list[Hold]:
    """Report whose file fields are applied no further, until the wish is repeated or over."""
    kept = {name: wish.refused for name, wish in swarm.fields.items() if wish.refused}
    return [
        Hold(
            secret=name,
            reason=Reason.WISH_REFUSED,
            message=f"its changed file fields are not applied: {why}",
        )
        for name, why in sorted((kept | asked.refused).items())
    ]
