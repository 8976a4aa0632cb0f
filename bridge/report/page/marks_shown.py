"""The marks that the swarm keeps of a secret: who wanted what and why, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.model.mirror import Mirror
from bridge.model.set_aside import By
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import known_moment
from bridge.model.wishes import Do, Wish, pause_of
from bridge.report.page.page_view import Mark

_BY = {
    By.FAILURE: "set aside: it failed",
    By.SUSPECT: "suspect: it failed together with another version",
    By.SERVICE: "not tried: the service is not well",
    By.OPERATOR: "set aside by an operator",
    By.RESTORE: "set aside: Vault was restored from a snapshot of before it",
}


def marks_of(name: str, mirrors: Iterable[Mirror], swarm: SwarmView) -> tuple[Mark, ...]:
    """Return the marks of one secret: operators' first, then those of its versions."""
    return (*_operators(name, swarm), *_versions(mirrors, swarm))


def _operators(name: str, swarm: SwarmView) -> Iterator[Mark]:
    if pause := pause_of(swarm.pauses, name):
        scope = "all secrets" if "" in swarm.pauses else "this secret"
        yield Mark(f"{_who(pause.by)}: pause of {scope}", known_moment(pause.at), pause.why)
    if wish := swarm.wishes.get(name):
        yield Mark(f"{_who(wish.by)}: {_wish(wish)}", known_moment(wish.at), wish.why)
        if wish.refused:
            yield Mark(f"Refused: {wish.do}", None, wish.refused)
    if approval := swarm.approvals.get(name):
        what = f"{_who(approval.by)}: approve v{approval.version}"
        yield Mark(what, known_moment(approval.at), approval.why)
    if fields := swarm.fields.get(name):
        yield Mark("Operator: apply file fields", known_moment(fields.at), fields.refused)
    if refusal := swarm.refusals.get(name):
        what = f"Refused by a server: {refusal.reason}"
        yield Mark(what, known_moment(refusal.at), refusal.message)


def _who(name: str) -> str:
    return f"Operator {name}" if name else "Operator"


def _wish(wish: Wish) -> str:
    if wish.to is None:
        return wish.do.value
    return f"{wish.do.value} {'to' if wish.do == Do.ROLLBACK else 'of'} v{wish.to}"


def _versions(mirrors: Iterable[Mirror], swarm: SwarmView) -> Iterator[Mark]:
    for mirror in mirrors:
        version = f"v{mirror.identity.version}"
        for service_id, aside in mirror.asides.items():
            place = f"{version} on {_name(service_id, swarm)}" if service_id else version
            yield Mark(f"{place} {_BY[aside.by]}", known_moment(aside.at), aside.why)
        for service_id, block in mirror.blocks.items():
            tries = f", tried {block.tries} times" if block.tries > 1 else ""
            what = f"{version} on {_name(service_id, swarm)} is blocked ({block.reason}{tries})"
            yield Mark(what, known_moment(block.at), block.why)


def _name(service_id: str, swarm: SwarmView) -> str:
    service = swarm.service_by_id.get(service_id)
    return service.name if service else service_id
