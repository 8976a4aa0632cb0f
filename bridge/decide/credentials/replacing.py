"""Is a new generation made now?

1. There is none yet, or the latest failed: some time passes after each failure.
2. Services are left with one that is over: it vanished in Vault, or was ended.
3. It is due, by its end, its age or on somebody's request.

Never while the former change is still on its way, since then more than two credentials would be
alive at once; unless the one in use ends soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bridge.decide.credentials.due import Due, asks_again, due_of
from bridge.decide.credentials.mint import VANISHED_WITHIN, mint, recently_vanished
from bridge.decide.credentials.stage import Generation, Stage, forced_from
from bridge.decide.credentials.usable import failed, rolled_back
from bridge.decide.situation import Situation
from bridge.decide.versions.target import Target
from bridge.model.actions import MintGeneration
from bridge.model.conditions import Hold
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.set_aside import By
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import moment, timestamp
from bridge.model.window import opening_of
from bridge.model.wishes import Do, Pause, pause_of

MOST_TRIES = 3
"""Generations that may fail one after the other."""

MOST_DOUBLED = 4
"""How often the pause between such tries doubles at most."""

MOST_VANISHED = 2
"""Leases that may vanish within ``VANISHED_WITHIN`` and are replaced by themselves."""

Answer = tuple[Reason, str] | Hold | None
"""Why a generation is made now, why it is not though it is wanted, or neither."""


def with_mint(
    target: Target, found: Sequence[Generation], known: Situation, *, in_turn: bool
) -> Target:
    """Return the target with the new generation that is made now, or why none is.

    Args:
        in_turn: Whether many vanished at once, and another one has its turn.
    """
    if target.hold or any(g.stage in (Stage.UNKNOWN, Stage.DOUBTFUL) for g in found):
        unproven = next(iter(target.unproven.values()), None)
        return target if target.hold or not unproven else replace(target, hold=unproven)
    answer = _answer(target, found, known, in_turn=in_turn)
    if answer is None:
        return target
    if isinstance(answer, Hold):
        return replace(target, hold=answer)
    return replace(target, create=mint(target, found, *answer, known))


def _answer(
    target: Target, found: Sequence[Generation], known: Situation, *, in_turn: bool
) -> Answer:
    """Return what becomes of a secret's generations, the weightiest case first.

    1. It is paused: nothing is made, and what ends meanwhile is reported.
    2. There is none yet.
    3. The newest failed, or is a suspect with nothing to go back to: one more try after a pause.
    4. Services are left with one that is over.
    5. One is due.
    """
    due = due_of(target, found, known)
    pause = pause_of(known.swarm.pauses, target.secret.name)
    live = [g for g in found if g.live and not failed(g.mirror)]
    if pause:  # 1
        dead = bool(found) and not live
        return _paused(target.secret.name, pause, due, known.now, dead=dead)
    if not found:  # 2
        return Reason.NEW_GENERATION, "there is none yet"
    return _after_newest(target, found, live, due, known, in_turn=in_turn)


def _after_newest(
    target: Target,
    found: Sequence[Generation],
    live: Sequence[Generation],
    due: Due,
    known: Situation,
    *,
    in_turn: bool,
) -> Answer:
    """Return what becomes of the newest generation; the numbers are those of ``_answer``."""
    newest = found[0]
    asked = _asked_by(newest.mirror, known.swarm)
    # A suspect is tried alone once its service has gone back, where there is something to go to.
    cornered = _is_suspect(newest.mirror) and all(g.mirror.asides for g in live)
    stopped = failed(newest.mirror) or cornered
    if stopped and not (asked or asks_again(target, newest.mirror, due, known.vault)):  # 3
        return _after_failure(newest, due, known, alone=all(g is newest for g in live))
    lost = _lost(found, live)
    if lost or not live or (cornered and asked):  # 4
        return _after_loss(target, lost, newest.mirror, known, asked=asked, in_turn=in_turn)
    if asked and newest.mirror.asides:
        # What is set aside somewhere comes to no end by itself.
        due = replace(due, open=False)
    return _by_the_rules(target.secret.name, due, known, asked=asked)  # 5


def _after_loss(
    target: Target,
    lost: Generation | None,
    newest: Mirror,
    known: Situation,
    *,
    asked: str,
    in_turn: bool,
) -> Answer:
    """Return the replacement of a generation that is over, on request or as it vanished."""
    if lost is None or lost.stage != Stage.VANISHED or asked:
        return Reason.ROTATION_ASKED, "the one before is not used any more"
    return _after_vanishing(target, lost, newest, known, in_turn=in_turn)


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
    """Return a hold where a pause keeps what ends, or has ended, from being replaced."""
    if dead:
        message = f"{pause.text}, and the credential in use is over: `resume`"
        return Hold(secret=name, reason=Reason.LEASE_ENDING, message=message)
    if due.forced_at is None or now < due.forced_at:
        return None
    message = f"{pause.text}, and what services use ends soon ({due.why}): `resume`"
    return Hold(secret=name, reason=Reason.LEASE_ENDING, message=message)


def _asked_by(newest: Mirror, swarm: SwarmView) -> str:
    """Return why an operator wants the newest generation replaced; empty where none does."""
    wish = swarm.wishes.get(newest.secret)
    if wish is None or wish.do != Do.ROTATE or wish.refused:
        return ""
    if newest.identity.version > (wish.to or 0):
        return ""
    return "an operator asked for it" + (f": {wish.why}" if wish.why else "")


def _by_the_rules(name: str, due: Due, known: Situation, *, asked: str) -> Answer:
    """Return whether one is made by its time or on request, and at the latest by its end."""
    now = known.now
    wanted = not due.open and (bool(asked) or (due.at is not None and due.at <= now))
    opening = opening_of(known.rollout.windows, now)
    if wanted and opening is None:
        return (Reason.ROTATION_ASKED, asked) if asked else (Reason.ROTATION_DUE, due.why)
    if due.forced_at is not None and due.forced_at <= now:
        return Reason.FORCED_BY_EXPIRY, due.why
    if wanted and opening is not None:
        message = f"a new generation is made at {timestamp(opening)} (rollout.windows)"
        return Hold(secret=name, reason=Reason.WINDOW_CLOSED, message=message, until=opening)
    return None


def _after_failure(
    found: Generation, due: Due, known: Situation, *, alone: bool
) -> tuple[Reason, str] | Hold:
    """Return the next try after a failure, or the hold until then.

    1. Services that are well on it are not left to its end, however often others failed.
    2. After ``MOST_TRIES`` an operator decides; where no other credential is left, tries go on.
    3. The pause doubles with each failure, but does not reach beyond the end of what is in use.
    """
    newest, rollout, now = found.mirror, known.rollout, known.now
    name, tries = newest.secret, newest.leased.tries if newest.leased else 1
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
    since = max(known.memory.since(newest.id, moment(mark.at), now) for mark in marks)
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
    target: Target, lost: Generation, newest: Mirror, known: Situation, *, in_turn: bool
) -> tuple[Reason, str] | Hold:
    """Return the replacement of what vanished, which comes at once, but not for ever."""
    name, source = target.secret.name, target.secret.source
    recent = recently_vanished(newest, known)
    what = source.vanished(lost.mirror.docker_name, lost.mirror.leased)
    if source.is_renewed_by_vault:
        return Reason.ROTATION_DUE, what
    if len(recent) >= MOST_VANISHED:
        since = known.memory.since(newest.id, moment(recent[0]), known.now)
        until = since + VANISHED_WITHIN
        message = f"{what}, for the third time within an hour: is somebody revoking them?"
        return Hold(secret=name, reason=Reason.LEASE_UNSTABLE, message=message, until=until)
    if in_turn:
        message = f"{what}, as that of others: they are replaced one after the other"
        return Hold(secret=name, reason=Reason.WAITING_FOR_TURN, message=message, waits=True)
    return Reason.LEASE_VANISHED, what


def with_company(
    targets: Iterable[Target], generations: Mapping[str, Sequence[Generation]], known: Situation
) -> list[Target]:
    """Return the targets; what is due soon is made together with those of the same services.

    A service that has two credentials which are due within one roll's time is rolled once.
    """
    targets = list(targets)
    now, rollout = known.now, known.rollout
    closed = opening_of(rollout.windows, now) is not None
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
        due = due_of(target, found, known)
        paused = pause_of(known.swarm.pauses, secret.name)
        if due.at is None or due.open or paused or closed or due.at > now + rollout.timeout:
            continue
        why = f"{due.why}; a service of its is rolled now anyhow"
        create = mint(target, found, Reason.ROTATION_DUE, why, known)
        targets[place] = replace(target, create=create)
    return targets
