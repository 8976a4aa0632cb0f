"""Where is each generation of a credential in its life: alive, on its way to its end, over?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.decide.credentials.need import tending
from bridge.decide.situation import Situation
from bridge.model.actions import Tend, TendGeneration, action_key
from bridge.model.leased import GenerationView, Gone, Leased, Life, RoleDocument, Unknown
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant
from bridge.model.vault_view import Document, Unreadable

CAPPED = 0.9
"""Part of what a role gives; a renewal that gave less has met the lease's longest life."""


class Stage(StrEnum):
    """Where a generation is in its life."""

    PROVISIONAL = "provisional"  # its custody is not permanent yet
    ALIVE = "alive"
    RETIRING = "retiring"  # it is being ended
    VANISHED = "vanished"  # two looks did not find it, and nobody here has ended it
    DOUBTFUL = "doubtful"  # one look did not find it
    UNKNOWN = "unknown"  # Vault could not be asked
    FOREIGN = "foreign"  # what its labels name is not ours, and never touched
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One generation.

    Attributes:
        lease, custody: Where they are alive.
        lease_gone, custody_gone: Whether Vault does not know them.
        hard_end: When it ends whatever is done, seconds since the epoch; None where not known.
        longest: When its role lets no lease of its age live on; None where not known.
        unknown: Why it could not be looked at.
        trouble: Why Vault does not renew its lease; empty where it does.
    """

    mirror: Mirror
    stage: Stage
    lease: Life | None = None
    custody: Life | None = None
    lease_gone: bool = False
    custody_gone: bool = False
    hard_end: float | None = None
    longest: float | None = None
    unknown: Unknown | None = None
    trouble: str = ""

    @property
    def live(self) -> bool:
        """Whether its credential is known to be valid, and is meant to be."""
        return self.stage in (Stage.PROVISIONAL, Stage.ALIVE)

    @property
    def over(self) -> bool:
        """Whether no service is to be pointed at it any more."""
        return self.stage in (Stage.RETIRING, Stage.VANISHED, Stage.FOREIGN, Stage.ENDED)


def generation_of(mirror: Mirror, known: Situation) -> Generation:
    """Return where a generation is in its life.

    1. It has no lease, or its end was noted: ended.
    2. It is marked for its end: retiring, whatever Vault answers.
    3. Its labels name what is not ours: foreign, and never touched.
    4. Vault did not answer: unknown. Nothing is concluded from that.
    5. Vault does not know its lease or its custody: doubtful, and vanished after a second look.
    6. Its custody was never renewed: provisional, so that a crash leaves no credential behind.
    """
    leased, view = mirror.leased, known.vault.generations.get(mirror.id)
    if leased is None or leased.ended:
        return Generation(mirror=mirror, stage=Stage.ENDED)
    if not mirror.identity.source.has_lease:
        return _without_lease(mirror, leased, known)
    found = _looked_up(mirror, view)
    if leased.retiring:
        return replace(found, stage=Stage.RETIRING)
    if _is_foreign(found):
        return replace(found, stage=Stage.FOREIGN)
    if found.unknown or view is None:
        return replace(found, stage=Stage.UNKNOWN)
    if found.lease_gone or found.custody_gone:
        first = known.memory.vanished.get(mirror.id)
        proved = first is not None and first < view.as_of
        return replace(found, stage=Stage.VANISHED if proved else Stage.DOUBTFUL)
    lease = found.lease
    if lease and (lease.ends <= known.now or lease.failed):
        return replace(found, stage=Stage.VANISHED)
    return _living(found, known)


def _looked_up(mirror: Mirror, view: GenerationView | None) -> Generation:
    """Return a generation with what the latest look found of its lease and its custody."""
    not_yet = Unknown(Reason.LOOKING_AGAIN, "its lease has yet to be looked up")
    fates = (view.lease, view.custody) if view else (not_yet, not_yet)
    lease, custody = (fate if isinstance(fate, Life) else None for fate in fates)
    lease_gone, custody_gone = (isinstance(fate, Gone) for fate in fates)
    return Generation(
        mirror=mirror,
        stage=Stage.ALIVE,
        lease=lease,
        custody=custody,
        lease_gone=lease_gone,
        custody_gone=custody_gone,
        unknown=next((fate for fate in fates if isinstance(fate, Unknown)), None),
    )


def _is_foreign(found: Generation) -> bool:
    """Return whether what the labels name is not ours.

    Custody that was made by a pipeline is known by the configuration of now only.
    """
    custody, unknown = found.custody, found.unknown
    theirs = custody is not None and custody.foreign and not found.mirror.identity.source.leased
    return theirs or (unknown is not None and unknown.foreign)


def _living(found: Generation, known: Situation) -> Generation:
    """Return a living generation with its end, and whether its custody is permanent."""
    mirror, lease, custody = found.mirror, found.lease, found.custody
    backoff = known.memory.backoffs.get(action_key(renew_lease(mirror)))
    if backoff and not backoff.passes:
        found = replace(found, trouble=backoff.message)
    source = mirror.lease_role
    role = known.vault.paths.get(source) if source else None
    if lease and isinstance(role, RoleDocument):
        found = replace(found, longest=lease.started + role.max_ttl)
    found = replace(found, hard_end=_hard_end(found, role))
    if custody and not (custody.renewed or custody.period or custody.foreign):
        return replace(found, stage=Stage.PROVISIONAL)
    return found


def _without_lease(mirror: Mirror, leased: Leased, known: Situation) -> Generation:
    """Return where a credential is that lives by no lease: only its source tells what became of it.

    One look proves its end.
    """
    source, memory = mirror.identity.source, known.memory
    document = known.vault.paths.get(source)
    started = memory.since(mirror.id, instant(mirror.identity.created) / 1e9, known.now)
    looked = known.vault.asked_at(source) > memory.met_at(mirror.id, known.now)
    state = source.state_of(mirror, document, started, looked=looked)
    found = Generation(
        mirror=mirror,
        stage=Stage.ALIVE,
        lease=state.life,
        lease_gone=state.over,
        custody_gone=state.over,
        hard_end=state.hard_end,
        unknown=state.unknown,
    )
    if leased.retiring:
        return replace(found, stage=Stage.RETIRING)
    if state.unknown:
        return replace(found, stage=Stage.UNKNOWN)
    return replace(found, stage=Stage.VANISHED) if state.over else found


def vanished(known: Situation) -> dict[str, float]:
    """Return when each generation that is gone was first not found, by its Docker secret's id."""
    return {
        secret_id: known.memory.vanished.get(secret_id, view.as_of)
        for secret_id, view in known.vault.generations.items()
        if isinstance(view.lease, Gone) or isinstance(view.custody, Gone)
    }


def _hard_end(found: Generation, role: Document | Unreadable | None) -> float | None:
    """Return when a generation ends whatever is done: the end of its lease, or of its custody."""
    lease, custody, ends = found.lease, found.custody, list[float]()
    if lease and found.longest is not None and isinstance(role, RoleDocument):
        ends.append(found.longest)
        if lease.renewed and lease.granted < role.default_ttl * CAPPED:
            ends.append(lease.ends)
    if lease and found.trouble:
        ends.append(lease.ends)  # its user is gone, or its role
    if custody and custody.foreign:
        ends.append(custody.ends)  # nobody here makes it longer
    elif custody and custody.longest:
        ends.append(custody.started + custody.longest)
    elif custody and custody.renewed and not custody.period:
        ends.append(custody.ends)
    return min(ends, default=None)


def forced_from(found: Generation, timeout: float) -> float | None:
    """Return from when on services must leave a generation, whatever windows and limits say.

    A life that is too short for two rolls is at least half used: else one would follow another.
    """
    if found.hard_end is None or found.lease is None:
        return None
    half = (found.lease.started + found.hard_end) / 2
    return max(found.hard_end - 2 * timeout, half)


def renew_lease(mirror: Mirror, patience: float = 0.0) -> TendGeneration:
    """Return the action that renews a generation's lease."""
    why = "its time has come"
    return tending(mirror, Tend.RENEW_LEASE, Reason.LEASE_KEPT, why, patience=patience)
