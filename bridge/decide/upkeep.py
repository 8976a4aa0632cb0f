"""Which marks and notes are due, and what can nothing need any more?"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.decide.decision import Decision, one_by_one, total
from bridge.decide.services.limits import approvals_over
from bridge.decide.services.move import Services
from bridge.decide.services.records import blocks_over, good_mark, records_over
from bridge.decide.services.state import ServiceState
from bridge.decide.situation import Situation
from bridge.decide.versions.choose import Versions
from bridge.decide.versions.marks import gone_marks, outlived_marks, unused_marks
from bridge.decide.versions.operators import let_go
from bridge.decide.versions.prune import prune
from bridge.decide.versions.target import Target
from bridge.model.actions import Chain, NoteState
from bridge.model.labels import REFUSED
from bridge.model.reasons import Reason
from bridge.model.vault_view import KvDocument


def keep_up(versions: Versions, services: Services, known: Situation) -> Decision:
    """Return what is written down and removed, for each name and for those no longer configured."""
    over = Decision(chains=(*let_go(known), *gone_marks(known.instance, known.swarm)))
    each = (
        _of_name(target, services.of_secret(target.secret.name), known, frozen=versions.frozen)
        for target in versions.targets
    )
    return total((*each, over))


def _of_name(
    target: Target, states: Sequence[ServiceState], known: Situation, *, frozen: bool
) -> Decision:
    """Return what is written down and removed for one name.

    Args:
        states: The services that have to do with it.
    """
    swarm = known.swarm
    marks = (
        *good_mark(target, states, known),
        *records_over(target, states, known),
        *outlived_marks(target, known.now),
        *unused_marks(target, swarm, known.now),
        *blocks_over(target, states),
    )
    pruning = prune(target, swarm, known.desired.retain, known.now)
    removals = () if frozen else pruning.removals
    chains = one_by_one(*marks, *removals)
    chains += (*_verdicts(target, known), *approvals_over(target, swarm.approvals))
    return Decision(chains=chains, wake=(*pruning.wake, *_deletions(target, known)))


def _verdicts(target: Target, known: Situation) -> tuple[Chain, ...]:
    """Return the note that keeps a refusal in the swarm, or drops one that is over.

    A fresh process must know what was refused: it would read the value again else.
    """
    name = target.secret.name
    kept = known.swarm.verdicts.get(name)
    ours = known.memory.verdicts.get(name)
    if ours and ours != kept and ours.identity == target.current:
        put = {f"{REFUSED}{name}": ours.write()}
        why = f"{name} is refused: {ours.message}"
        return one_by_one(NoteState(name, put, {}, ours.reason, why))
    over = (
        kept
        and target.current
        and (kept.identity != target.current or kept.shape != target.secret.content.shape)
    )
    if kept and over:
        drop = {f"{REFUSED}{name}": kept.write()}
        why = f"{name} has something newer than what was refused"
        return one_by_one(NoteState(name, {}, drop, Reason.SUPERSEDED, why))
    return ()


def _deletions(target: Target, known: Situation) -> list[float]:
    """Return when versions end by themselves (``delete_version_after``)."""
    document = known.vault.paths[target.secret.source]
    if not isinstance(document, KvDocument):
        return []
    return [v.deletion_time for v in document.versions.values() if v.deletion_time is not None]
