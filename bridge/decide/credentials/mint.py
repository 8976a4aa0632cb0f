"""Is a new generation of a credential due, and what would it be?

One is made before the hard end of the one in use, by its age, on somebody's word, or where its
lease vanished; never while the former change is still on its way, since then more than two
credentials would be alive at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from bridge.decide.credentials.stage import (
    Generation,
    Stage,
    failed,
    forced_from,
    rolled_back,
    usable_of,
)
from bridge.decide.versions.target import Target
from bridge.model.actions import MintGeneration
from bridge.model.conditions import Hold
from bridge.model.desired import KvPath, Rollout, StaticRoles
from bridge.model.labels import SHAPE, TRIES, VANISHED
from bridge.model.memory import Memory
from bridge.model.mirror import By, Mirror
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant, moment, timestamp
from bridge.model.vault_view import KvDocument
from bridge.model.window import opening_of
from bridge.model.wishes import Do, Pause, pause_of
from bridge.model.world import World

MOST_TRIES = 3
"""Generations that may fail one after the other."""

MOST_DOUBLED = 4
"""How often the pause between such tries doubles at most."""

MOST_VANISHED = 2
VANISHED_WITHIN = 3600.0
"""Leases that may vanish within so many seconds and are replaced by themselves."""

A_WHILE = 60.0
"""Seconds that making a credential and mirroring it does not take."""


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
    usable = usable_of(found)
    is_open = bool(usable) and _is_on_its_way(usable, target)
    if not usable or usable[0].lease is None:
        return Due(None, is_open, None, "")
    newest, started = usable[0], usable[0].lease.started
    reasons: list[tuple[float, str]] = []
    forced_at, its_end = None, ""
    if newest.hard_end is not None:
        left = rules.rotate_before * (newest.hard_end - started)
        its_end = f"it ends at {timestamp(newest.hard_end)}"
        reasons.append((newest.hard_end - left, its_end))
        forced_at = forced_from(newest, rollout.timeout)
    if rules.rotate_every is not None:
        reasons.append((started + rules.rotate_every, f"it was made at {timestamp(started)}"))
    asked = _asked_in_vault(target, newest.mirror, world)
    if asked:
        reasons.append((now, asked))
    if rolled_back(found[0].mirror):
        reasons = []  # an operator's word: only the end of what is in use overrides it
    at, why = min(reasons, default=(None, its_end))
    return Due(at, is_open, forced_at, why)


def _asks_again(target: Target, newest: Mirror, due: Due, world: World) -> bool:
    """Tell whether somebody asked in Vault for another try after a failed one."""
    return not due.open and bool(_asked_in_vault(target, newest, world))


def _asked_in_vault(target: Target, newest: Mirror, world: World) -> str:
    """Say which version of ``rotate_on`` asks for a generation after this one, if any does."""
    on = target.secret.lease.rotate_on
    document = world.vault.paths.get(on) if on else None
    if not isinstance(document, KvDocument) or document.current not in document.versions:
        return ""
    written = instant(document.versions[document.current].created) / 1e9
    asks = written > _asked_since(newest)
    return f"version {document.current} of {on} asks for it" if asks else ""


def _asked_since(mirror: Mirror) -> float:
    """Tell from when on a request is one for the generation after this one, in Vault's time.

    A password that was there before it was mirrored may be much older than that.
    """
    created = instant(mirror.identity.created) / 1e9
    if not isinstance(mirror.identity.source, StaticRoles):
        return created  # a lease is made when it is mirrored; the engine's clock may be another
    return mirror.created if mirror.created - created > A_WHILE else created


def _is_on_its_way(usable: Sequence[Generation], target: Target) -> bool:
    """Tell whether the change to the newest generation is not over yet.

    A service that is ill on a good one stays on the former, which keeps no other from the next.
    """
    newest = usable[0].mirror
    if not newest.good:
        return len(usable) > 1 or bool(target.secret.services)
    return len(usable) > 1 and not newest.asides


def with_mint(
    target: Target,
    found: Sequence[Generation],
    world: World,
    memory: Memory,
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
    answer = _answer(target, found, world, memory, rollout, now, in_turn=in_turn)
    if answer is None:
        return target
    if isinstance(answer, Hold):
        return replace(target, hold=answer)
    return replace(target, create=mint(target, found, world, memory, *answer, now))


def _answer(
    target: Target,
    found: Sequence[Generation],
    world: World,
    memory: Memory,
    rollout: Rollout,
    now: float,
    *,
    in_turn: bool,
) -> tuple[Reason, str] | Hold | None:
    """Say why a generation is made now, why it is not though it is wanted, or nothing."""
    name = target.secret.name
    due = due_of(target, found, world, rollout, now)
    pause = pause_of(world.swarm.pauses, name)
    live = [g for g in found if g.live and not failed(g.mirror)]
    if pause:
        return _paused(name, pause, due, now, dead=bool(found) and not live)
    newest = found[0] if found else None
    if newest is None:
        return Reason.NEW_GENERATION, "there is none yet"
    asked = _asked_by(newest.mirror, world)
    # A suspect is tried alone once its service has gone back, where there is something to go to.
    cornered = _is_suspect(newest.mirror) and all(g.mirror.asides for g in live)
    stopped = failed(newest.mirror) or cornered
    if stopped and not (asked or _asks_again(target, newest.mirror, due, world)):
        alone = all(g is newest for g in live)
        return _after_failure(target, newest, due, memory, rollout, now, alone=alone)
    lost = _lost(found, live)
    if lost or not live or (cornered and asked):
        if lost is None or lost.stage != Stage.VANISHED or asked:
            return Reason.ROTATION_ASKED, "the one before is not used any more"
        return _after_vanishing(target, lost, newest.mirror, memory, in_turn=in_turn, now=now)
    if asked and newest.mirror.asides:
        # What is set aside somewhere comes to no end by itself.
        due = replace(due, open=False)
    return _by_the_rules(name, due, rollout, now, asked=asked)


def _lost(found: Sequence[Generation], live: Sequence[Generation]) -> Generation | None:
    """Return the generation that services are left with though it is over, if there is one.

    They may be on the newest though an older one is alive, and never go back to that one. After an
    operator's rollback they are on an older one, and the newest is alive and set aside.
    """
    newest = found[0]
    if newest.over and not (failed(newest.mirror) or rolled_back(newest.mirror)):
        return newest
    gone = next((g for g in found if g.stage == Stage.VANISHED), None)
    return gone if all(g.mirror.asides for g in live) else None


def _is_suspect(mirror: Mirror) -> bool:
    return any(mark.by == By.SUSPECT for mark in mirror.asides.values())


def _paused(name: str, pause: Pause, due: Due, now: float, *, dead: bool) -> Hold | None:
    """Say that a pause keeps a credential from being replaced that ends, or has ended."""
    if dead:
        message = f"{pause.text}, and the credential in use is over: `resume`"
        return Hold(secret=name, reason=Reason.LEASE_ENDING, message=message)
    if due.forced_at is None or now < due.forced_at:
        return None
    message = f"{pause.text}, and what services use ends soon ({due.why}): `resume`"
    return Hold(secret=name, reason=Reason.LEASE_ENDING, message=message)


def _asked_by(newest: Mirror, world: World) -> str:
    """Say in words that an operator wants the newest generation replaced; empty where none does."""
    wish = world.swarm.wishes.get(newest.secret)
    if wish is None or wish.do != Do.ROTATE or wish.refused:
        return ""
    if newest.identity.version > (wish.to or 0):
        return ""
    return "an operator asked for it" + (f": {wish.why}" if wish.why else "")


def _by_the_rules(
    name: str, due: Due, rollout: Rollout, now: float, *, asked: str
) -> tuple[Reason, str] | Hold | None:
    """Say whether one is made by its time or on somebody's word, and at the latest by its end."""
    wanted = not due.open and (bool(asked) or (due.at is not None and due.at <= now))
    opening = opening_of(rollout.windows, now)
    if wanted and opening is None:
        return (Reason.ROTATION_ASKED, asked) if asked else (Reason.ROTATION_DUE, due.why)
    if due.forced_at is not None and due.forced_at <= now:
        return Reason.FORCED_BY_EXPIRY, due.why
    if wanted and opening is not None:
        message = f"a new generation is made at {timestamp(opening)} (rollout.windows)"
        return Hold(secret=name, reason=Reason.WINDOW_CLOSED, message=message, until=opening)
    return None


def _after_failure(
    target: Target,
    found: Generation,
    due: Due,
    memory: Memory,
    rollout: Rollout,
    now: float,
    *,
    alone: bool,
) -> tuple[Reason, str] | Hold:
    """Let some time pass, and more after each failure, but not beyond the end of what is in use.

    Services that are well on it are not left to its end, however often others failed. Where no
    other credential is left, it is tried without an end.
    """
    newest = found.mirror
    name, tries = target.secret.name, newest.leased.tries if newest.leased else 1
    forced = forced_from(found, rollout.timeout)
    if found.live and forced is not None and found.hard_end is not None and forced <= now:
        return Reason.FORCED_BY_EXPIRY, f"it ends at {timestamp(found.hard_end)}"
    marks = [mark for mark in newest.asides.values() if mark.by != By.OPERATOR]
    if tries >= MOST_TRIES and not alone:
        message = (
            f"{tries} generations failed one after the other ({marks[0].why}):"
            f" `vault-bridge rotate {name}` tries again"
        )
        return Hold(secret=name, reason=Reason.GENERATIONS_FAILED, message=message)
    since = max(memory.since(newest.id, moment(mark.at), now) for mark in marks)
    until = since + rollout.timeout * 2.0 ** min(tries - 1, MOST_DOUBLED)
    if due.forced_at is not None:
        until = min(until, max(since, due.forced_at))
    if now < until:
        message = (
            f"{newest.docker_name} failed ({marks[0].why}); the next generation is made at"
            f" {timestamp(until)}"
        )
        return Hold(secret=name, reason=Reason.ROLL_FAILED, message=message, until=until)
    return Reason.NEW_GENERATION, f"{newest.docker_name} failed, and this is try {tries + 1}"


def _after_vanishing(
    target: Target,
    lost: Generation,
    newest: Mirror,
    memory: Memory,
    *,
    in_turn: bool,
    now: float,
) -> tuple[Reason, str] | Hold:
    """Let what vanished be replaced at once, but not for ever."""
    name, source = target.secret.name, target.secret.source
    recent = _recently_vanished(newest, memory, now)
    what = f"the lease of {lost.mirror.docker_name} was ended in Vault, or expired"
    if isinstance(source, StaticRoles):
        role = lost.mirror.leased.role if lost.mirror.leased else ""
        what = f"Vault has rotated the static role {role}, so {lost.mirror.docker_name} is over"
        if len(source.roles) == 1:
            return Reason.ROTATION_DUE, what  # it has but one, and rotates it as it was told to
    if len(recent) >= MOST_VANISHED:
        until = memory.since(newest.id, moment(recent[0]), now) + VANISHED_WITHIN
        message = f"{what}, for the third time within an hour: is somebody revoking them?"
        return Hold(secret=name, reason=Reason.LEASE_UNSTABLE, message=message, until=until)
    if in_turn:
        message = f"{what}, as that of others: they are replaced one after the other"
        return Hold(secret=name, reason=Reason.WAITING_FOR_TURN, message=message, waits=True)
    return Reason.LEASE_VANISHED, what


def _recently_vanished(mirror: Mirror, memory: Memory, now: float) -> list[str]:
    known = mirror.leased.vanished if mirror.leased else ()
    after = now - VANISHED_WITHIN
    return [at for at in known if memory.since(mirror.id, moment(at), now) > after]


def mint(
    target: Target,
    found: Sequence[Generation],
    world: World,
    memory: Memory,
    reason: Reason,
    why: str,
    now: float,
) -> MintGeneration:
    """Make the action that makes a new generation; its number and its name are free."""
    secret = target.secret
    assert not isinstance(secret.source, KvPath)  # noqa: S101 - only leased secrets come here
    newest = found[0].mirror if found else None
    last = max((m.identity.version for m in (*target.mirrors, *target.others)), default=0)
    taken = world.swarm.secret_by_lower_name
    version = next(n for n in count(last + 1) if f"{secret.name}_v{n}".lower() not in taken)
    labels = {SHAPE: secret.content.shape}
    if newest and newest.leased:
        if failed(newest):
            labels[TRIES] = str(newest.leased.tries + 1)
        gone = _recently_vanished(newest, memory, now)
        if reason == Reason.LEASE_VANISHED:
            gone.append(timestamp(now))
        if gone:
            labels[VANISHED] = ",".join(gone)
    role, rotate = "", False
    if isinstance(secret.source, StaticRoles):
        role, rotate = _role_of(secret.source, found)
    return MintGeneration(
        secret=secret.name,
        source=secret.source,
        version=version,
        content=secret.content,
        docker_name=f"{secret.name}_v{version}",
        labels=labels,
        reason=reason,
        why=why,
        role=role,
        rotate=rotate,
    )


def _role_of(source: StaticRoles, found: Sequence[Generation]) -> tuple[str, bool]:
    """Say which static role is next, and whether it is rotated first.

    The first generation takes the password that is there, since somebody may use it already. One
    that Vault rotated by itself is mirrored as it is now, which is the quickest. Else the roles
    take turns.
    """
    newest = found[0].mirror.leased if found else None
    if newest is None:
        return source.roles[0], False
    if found[0].stage == Stage.VANISHED:
        return newest.role, False
    in_use = next((g.mirror.leased for g in found if g.live and not failed(g.mirror)), newest)
    others = [role for role in source.roles if in_use is None or role != in_use.role]
    return (others or list(source.roles))[0], True


def with_company(
    targets: Iterable[Target],
    generations: dict[str, list[Generation]],
    world: World,
    memory: Memory,
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
        closed = opening_of(rollout.windows, now) is not None
        if due.at is None or due.open or paused or closed or due.at > now + rollout.timeout:
            continue
        why = f"{due.why}; a service of its is rolled now anyhow"
        create = mint(target, found, world, memory, Reason.ROTATION_DUE, why, now)
        targets[place] = replace(target, create=create)
    return targets
