"""How does each generation of a leased credential stand, and is a new one due?

A new generation is made before the hard end of the one in use, by its age, on somebody's word, or
where its lease vanished; never while the former change is still on its way, since then more than
two credentials would be alive at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count

from bridge.decide.target import Target
from bridge.model.desired import DatabaseRole, Rollout
from bridge.model.generation import Gone, Life, RoleDocument, Unknown
from bridge.model.memory import Memory
from bridge.model.mirror import By, Mirror
from bridge.model.naming import TRIES, VANISHED, instant, timestamp
from bridge.model.plan import Hold, MintGeneration, Tend, TendGeneration, action_key
from bridge.model.reasons import Reason
from bridge.model.wishes import Do, pause_of
from bridge.model.world import KvDocument, World

MOST_TRIES = 3
"""Generations that may fail one after the other."""

MOST_VANISHED = 2
VANISHED_WITHIN = 3600.0
"""Leases that may vanish within so many seconds and are replaced by themselves."""

CAPPED = 0.9
"""Part of what a role gives; a renewal that gave less has met the lease's longest life."""


INEXACT = 2.0
"""Seconds by which we may be wrong about when a lease was made: Vault tells what is left in whole
ones."""


class Stage(StrEnum):
    """Where a generation is in its life."""

    PROVISIONAL = "provisional"  # its custody is not permanent yet
    ALIVE = "alive"
    RETIRING = "retiring"  # it is being ended
    VANISHED = "vanished"  # two looks did not find it, and nobody here has ended it
    DOUBTFUL = "doubtful"  # one look did not find it
    UNKNOWN = "unknown"  # Vault could not be asked
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation.

    Attributes:
        lease, custody: Where they are alive.
        lease_gone, custody_gone: Whether Vault does not know them.
        hard_end: When it ends whatever is done, seconds since the epoch; None where not known.
        guessed: Whether that is only concluded from a renewal that gave less than the role does
            now: it may give more by now.
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
    guessed: bool = False
    unknown: Unknown | None = None
    trouble: str = ""

    @property
    def live(self) -> bool:
        """Whether its credential is known to be valid, and is meant to be."""
        return self.stage in (Stage.PROVISIONAL, Stage.ALIVE)

    @property
    def over(self) -> bool:
        """Whether no service is to be pointed at it any more."""
        return self.stage in (Stage.RETIRING, Stage.VANISHED, Stage.ENDED)


def generation_of(mirror: Mirror, world: World, memory: Memory, now: float) -> Generation:
    """Say how a generation stands."""
    leased, view = mirror.leased, world.vault.generations.get(mirror.id)
    if leased is None or leased.ended:
        return Generation(mirror, Stage.ENDED)
    not_yet = Unknown(Reason.LOOKING_AGAIN, "its lease has yet to be looked up")
    fates = (view.lease, view.custody) if view else (not_yet, not_yet)
    lease, custody = (fate if isinstance(fate, Life) else None for fate in fates)
    lease_gone, custody_gone = (isinstance(fate, Gone) for fate in fates)
    unknown = next((fate for fate in fates if isinstance(fate, Unknown)), None)
    found = Generation(
        mirror, Stage.ALIVE, lease, custody, lease_gone, custody_gone, unknown=unknown
    )
    if leased.retiring:
        return replace(found, stage=Stage.RETIRING)
    if unknown or view is None:
        return replace(found, stage=Stage.UNKNOWN)
    if lease_gone or custody_gone:
        first = memory.vanished.get(mirror.id)
        proved = first is not None and first < view.as_of
        return replace(found, stage=Stage.VANISHED if proved else Stage.DOUBTFUL)
    if lease and (lease.ends <= now or lease.failed):
        return replace(found, stage=Stage.VANISHED)
    backoff = memory.backoffs.get(action_key(renew_lease(mirror)))
    if backoff and not backoff.passes:
        found = replace(found, trouble=backoff.message)
    found = replace(found, hard_end=_hard_end(found, world), guessed=_is_capped(found, world))
    if custody and not (custody.renewed or custody.period):
        return replace(found, stage=Stage.PROVISIONAL)
    return found


def vanished(world: World, memory: Memory) -> dict[str, float]:
    """Note when each generation that cannot be found was first not found, for the next look."""
    return {
        secret_id: memory.vanished.get(secret_id, view.as_of)
        for secret_id, view in world.vault.generations.items()
        if isinstance(view.lease, Gone) or isinstance(view.custody, Gone)
    }


def _hard_end(found: Generation, world: World) -> float | None:
    """Tell when a generation ends whatever is done: its lease's longest life, or its custody's."""
    lease, custody, ends = found.lease, found.custody, list[float]()
    role = world.vault.paths.get(found.mirror.identity.source)
    if lease and isinstance(role, RoleDocument):
        ends.append(lease.started + role.max_ttl)
    if lease and _is_capped(found, world):
        ends.append(lease.ends)
    if lease and found.trouble:
        ends.append(lease.ends)  # its user is gone, or its role
    if custody and custody.longest:
        ends.append(custody.started + custody.longest)
    elif custody and custody.renewed and not custody.period:
        ends.append(custody.ends)
    return min(ends, default=None)


def _is_capped(found: Generation, world: World) -> bool:
    """Tell whether the latest renewal gave less than the role does, and it is not the role's end.

    So it is where the mount caps it; or where the role gives more since then.
    """
    lease, role = found.lease, world.vault.paths.get(found.mirror.identity.source)
    if lease is None or not isinstance(role, RoleDocument) or not lease.renewed:
        return False
    met = lease.ends >= lease.started + role.max_ttl - INEXACT
    return not met and lease.granted < role.default_ttl * CAPPED


def forced_from(found: Generation, timeout: float) -> float | None:
    """Tell from when on services must leave a generation, whatever windows and limits say.

    A life that is too short for two rolls is at least half used: else one would follow another.
    """
    if found.hard_end is None or found.lease is None:
        return None
    half = (found.lease.started + found.hard_end) / 2
    return max(found.hard_end - 2 * timeout, half)


def renew_lease(mirror: Mirror, patience: float = 0.0) -> TendGeneration:
    """Return the action that renews a generation's lease."""
    return TendGeneration(
        mirror.secret,
        mirror.id,
        mirror.docker_name,
        Tend.RENEW_LEASE,
        Reason.LEASE_KEPT,
        "its time has come",
        patience=patience,
    )


# --- The target ----------------------------------------------------------------------------------


def with_generations(target: Target, world: World, memory: Memory, now: float) -> Target:
    """Say which generations of a leased secret may be used, and which may not yet."""
    found = [generation_of(mirror, world, memory, now) for mirror in target.mirrors]
    usable = [g for g in found if not g.over]
    ended = [g.mirror for g in found[1:] if g.stage == Stage.ENDED]
    ended += [mirror for mirror in target.others if mirror.leased and mirror.leased.ended]
    return replace(
        target,
        vault_version=target.mirrors[0].identity.version if target.mirrors else None,
        current=usable[0].mirror.identity if usable else None,
        ended=frozenset(g.mirror.id for g in found if g.over),
        unproven={g.mirror.id: _unproven(g) for g in usable if g.stage != Stage.ALIVE},
        destroyed=frozenset(mirror.id for mirror in ended),
    )


def _unproven(found: Generation) -> Hold:
    """Say why no service is pointed at a generation yet."""
    mirror, unknown = found.mirror, found.unknown
    if found.stage == Stage.PROVISIONAL:
        message = f"the custody of {mirror.docker_name} is to be made permanent first"
        return Hold(mirror.secret, Reason.CUSTODY_PROVISIONAL, message, waits=True)
    if unknown is None:
        message = f"the lease of {mirror.docker_name} was not found; one more look is to prove it"
        return Hold(mirror.secret, Reason.LOOKING_AGAIN, message, waits=True)
    waits = unknown.reason == Reason.LOOKING_AGAIN
    message = f"it is not known whether {mirror.docker_name} is alive: {unknown.message}"
    return Hold(mirror.secret, unknown.reason, message, waits=waits)


def failed(mirror: Mirror) -> bool:
    """Tell whether a generation was set aside for any service, by no operator."""
    return any(mark.by in (By.FAILURE, By.SERVICE) for mark in mirror.asides.values())


def _rolled_back(mirror: Mirror) -> bool:
    return any(mark.by == By.OPERATOR for mark in mirror.asides.values())


def _suspect(mirror: Mirror) -> bool:
    return any(mark.by == By.SUSPECT for mark in mirror.asides.values())


def _usable(found: Iterable[Generation]) -> list[Generation]:
    """Return those that every service may use: alive, and set aside by nobody for nothing."""
    return [g for g in found if g.live and not g.mirror.asides]


# --- A new generation ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Due:
    """When the next generation of a secret is due.

    Attributes:
        at: Seconds since the epoch; None where nothing is known that would make one due.
        open: Whether the former change is still on its way, so that it waits for that.
        forced_at: When it is made all the same, since the one in use ends soon after.
        why: What makes it due, in words.
    """

    at: float | None
    open: bool
    forced_at: float | None
    why: str


def due_of(
    target: Target, found: Sequence[Generation], world: World, rollout: Rollout, now: float
) -> Due:
    """Say when the next generation is due by itself."""
    rules = target.secret.lease
    live = [g for g in found if g.live and not failed(g.mirror)]
    usable = [g for g in live if not _rolled_back(g.mirror)] or live
    is_open = len(live) > 1 or (
        bool(live) and not live[0].mirror.good and bool(target.secret.services)
    )
    if not usable or usable[0].lease is None:
        return Due(None, is_open, None, "")
    newest, started = usable[0], usable[0].lease.started
    reasons: list[tuple[float, str]] = []
    forced_at = None
    if newest.hard_end is not None:
        left = rules.rotate_before * (newest.hard_end - started)
        reasons.append((newest.hard_end - left, f"it ends at {timestamp(newest.hard_end)}"))
        forced_at = forced_from(newest, rollout.timeout)
    if rules.rotate_every is not None:
        reasons.append((started + rules.rotate_every, f"it was made at {timestamp(started)}"))
    asked = world.vault.paths.get(rules.rotate_on) if rules.rotate_on else None
    if isinstance(asked, KvDocument) and asked.current in asked.versions:
        written = asked.versions[asked.current].created
        if instant(written) > instant(newest.mirror.identity.created):
            why = f"version {asked.current} of {rules.rotate_on} asks for it"
            reasons.append((now, why))
    if _rolled_back(found[0].mirror):
        reasons = []  # an operator's word: only the end of what is in use overrides it
    at, why = min(reasons, default=(None, ""))
    return Due(at, is_open, forced_at, why)


def with_mint(
    target: Target,
    found: Sequence[Generation],
    world: World,
    rollout: Rollout,
    now: float,
    *,
    in_turn: bool,
) -> Target:
    """Say whether a new generation is made now.

    Args:
        in_turn: Whether many vanished at once, and another one has its turn.
    """
    if target.hold or any(g.stage in (Stage.UNKNOWN, Stage.DOUBTFUL) for g in found):
        unproven = next(iter(target.unproven.values()), None)
        return target if target.hold or not unproven else replace(target, hold=unproven)
    answer = _answer(target, found, world, rollout, now, in_turn=in_turn)
    if answer is None:
        return target
    if isinstance(answer, Hold):
        return replace(target, hold=answer)
    return replace(target, create=mint(target, found, world, *answer, now))


def _answer(
    target: Target,
    found: Sequence[Generation],
    world: World,
    rollout: Rollout,
    now: float,
    *,
    in_turn: bool,
) -> tuple[Reason, str] | Hold | None:
    """Say why a generation is made now, why it is not though it is wanted, or nothing."""
    name = target.secret.name
    due = due_of(target, found, world, rollout, now)
    pause = pause_of(world.swarm.pauses, name)
    if pause:
        if due.forced_at is None or now < due.forced_at:
            return None
        message = f"{pause.text}, and what services use ends soon ({due.why}): `resume`"
        return Hold(name, Reason.LEASE_ENDING, message)
    newest = found[0] if found else None
    if newest is None:
        return Reason.NEW_GENERATION, "there is none yet"
    asked, live = _asked(newest, world, name), _usable(found)
    # A suspect is tried alone once its service has gone back, where there is something to go to.
    cornered = _suspect(newest.mirror) and not live
    if (failed(newest.mirror) or cornered) and not asked:
        return _after_failure(target, newest.mirror, rollout, now)
    if asked and not (live and due.open):
        return Reason.ROTATION_ASKED, "an operator asked for it"
    if not live and not newest.live and newest.stage != Stage.VANISHED:
        return Reason.ROTATION_ASKED, "the one before was ended"
    lost = next((g for g in found if g.stage == Stage.VANISHED), None)
    # Also where an older one is alive yet: services may be on the newest by now.
    if lost and (lost is newest or not live):
        return _after_vanishing(target, lost, newest.mirror, in_turn=in_turn, now=now)
    if due.at is not None and due.at <= now and not due.open:
        return Reason.ROTATION_DUE, due.why
    # Where all but the newest are over, and an operator rolled back from that, it is in use still.
    if due.forced_at is not None and due.forced_at <= now:
        stale = _stale((live or found)[0], rollout, now)
        return (Reason.FORCED_BY_EXPIRY, due.why) if stale else None
    return None


def _asked(newest: Generation, world: World, name: str) -> bool:
    """Tell whether an operator's wish for the generation after this one is open."""
    wish = world.swarm.wishes.get(name)
    if wish is None or wish.do != Do.ROTATE or wish.refused:
        return False
    return newest.mirror.identity.version <= (wish.to or 0)


def _stale(newest: Generation, rollout: Rollout, now: float) -> bool:
    """Tell whether even the newest one is too near its end to be rolled to."""
    at = forced_from(newest, rollout.timeout)
    return at is not None and at <= now


def _after_failure(
    target: Target, newest: Mirror, rollout: Rollout, now: float
) -> tuple[Reason, str] | Hold:
    name, tries = target.secret.name, newest.leased.tries if newest.leased else 1
    marks = [mark for mark in newest.asides.values() if mark.by != By.OPERATOR]
    if tries >= MOST_TRIES:
        message = (
            f"{tries} generations failed one after the other ({marks[0].why}):"
            f" `vault-bridge rotate {name}` tries again"
        )
        return Hold(name, Reason.GENERATIONS_FAILED, message)
    since = max(_instant(mark.at) for mark in marks)
    until = since + rollout.timeout * 2.0 ** (tries - 1)
    if now < until:
        message = (
            f"{newest.docker_name} failed ({marks[0].why}); the next generation is made at"
            f" {timestamp(until)}"
        )
        return Hold(name, Reason.ROLL_FAILED, message, until=until)
    return Reason.NEW_GENERATION, f"{newest.docker_name} failed, and this is try {tries + 1}"


def _instant(text: str) -> float:
    try:
        return instant(text) / 1e9
    except ValueError:
        return 0.0


def _after_vanishing(
    target: Target, lost: Generation, newest: Mirror, *, in_turn: bool, now: float
) -> tuple[Reason, str] | Hold:
    name = target.secret.name
    recent = _recently_vanished(newest, now)
    what = f"the lease of {lost.mirror.docker_name} was ended in Vault, or expired"
    if len(recent) >= MOST_VANISHED:
        until = _instant(recent[0]) + VANISHED_WITHIN
        message = f"{what}, for the third time within an hour: is somebody revoking them?"
        return Hold(name, Reason.LEASE_UNSTABLE, message, until=until)
    if in_turn:
        message = f"{what}, as that of others: they are replaced one after the other"
        return Hold(name, Reason.WAITING_FOR_TURN, message, waits=True)
    return Reason.LEASE_VANISHED, what


def _recently_vanished(mirror: Mirror, now: float) -> list[str]:
    known = mirror.leased.vanished if mirror.leased else ()
    return [at for at in known if _instant(at) > now - VANISHED_WITHIN]


def mint(
    target: Target,
    found: Sequence[Generation],
    world: World,
    reason: Reason,
    why: str,
    now: float,
) -> MintGeneration:
    """Make the action that makes a new generation; its number and its name are free."""
    secret = target.secret
    assert isinstance(secret.source, DatabaseRole)  # noqa: S101 - only leased secrets come here
    newest = found[0].mirror if found else None
    last = max((m.identity.version for m in (*target.mirrors, *target.others)), default=0)
    taken = world.swarm.secret_by_lower_name
    version = next(n for n in count(last + 1) if f"{secret.name}_v{n}".lower() not in taken)
    labels: dict[str, str] = {}
    if newest and newest.leased:
        if failed(newest):
            labels[TRIES] = str(newest.leased.tries + 1)
        gone = _recently_vanished(newest, now)
        if reason == Reason.LEASE_VANISHED:
            gone.append(timestamp(now))
        if gone:
            labels[VANISHED] = ",".join(gone)
    return MintGeneration(
        secret.name,
        secret.source,
        version,
        secret.content,
        f"{secret.name}_v{version}",
        labels,
        reason,
        why,
    )


def with_company(
    targets: Iterable[Target],
    generations: dict[str, list[Generation]],
    world: World,
    rollout: Rollout,
    now: float,
) -> list[Target]:
    """Make generations that are due soon together with those of the same services.

    A service that has two credentials which are due within one roll's time is rolled once.
    """
    targets = list(targets)
    rolled = {
        mapping.service
        for target in targets
        if isinstance(target.create, MintGeneration)
        for mapping in target.secret.services
    }
    for place, target in enumerate(targets):
        secret = target.secret
        shared = any(mapping.service in rolled for mapping in secret.services)
        if not secret.leased or target.create or target.hold or not shared:
            continue
        found = generations[secret.name]
        due = due_of(target, found, world, rollout, now)
        paused = pause_of(world.swarm.pauses, secret.name)
        if due.at is None or due.open or paused or due.at > now + rollout.timeout:
            continue
        why = f"{due.why}; a service of its is rolled now anyhow"
        create = mint(target, found, world, Reason.ROTATION_DUE, why, now)
        targets[place] = replace(target, create=create)
    return targets
