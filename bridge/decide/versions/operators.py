"""What did operators ask for, and can it be done?

Rollback, retry and resume are nothing but marks that are set or dropped; what follows from them is
decided as for any other mark. A wish that cannot be carried out stays, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.decide.decision import Decision, one_by_one
from bridge.decide.situation import Situation
from bridge.decide.versions.content_change import cannot_resync
from bridge.decide.versions.target import Target
from bridge.model.actions import Annotate, Chain, NoteState, RemoveSecret
from bridge.model.conditions import Hold
from bridge.model.labels import AT_ONCE, BLOCKED, RETIRING, ROLL
from bridge.model.leased import END_FIRST, END_NOW
from bridge.model.mirror import Mirror
from bridge.model.reasons import VAULT_AWAY, Reason
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.model.wishes import WISH, Do, Wish

_FAILED = frozenset({By.FAILURE, By.SUSPECT, By.SERVICE})


@dataclass(frozen=True, slots=True)
class Wishes:
    """What operators asked for.

    Attributes:
        names: Names of the secrets for which a wish is carried out, or refused, in this cycle.
    """

    names: frozenset[str]
    decision: Decision


def carry_out_wishes(targets: Iterable[Target], known: Situation) -> Wishes:
    """Return what carries the operators' wishes out, and those that were refused."""
    targets = tuple(targets)
    answered = {t.secret.name: chain for t in targets if (chain := _carry_out(t, known))}
    refusals = (_refusal(target.secret.name, known.swarm) for target in targets)
    decision = Decision(
        chains=tuple(answered.values()),
        holds=tuple(refusal for refusal in refusals if refusal),
    )
    return Wishes(frozenset(answered), decision)


def _carry_out(target: Target, known: Situation) -> Chain:
    """Return what carries a wish out, or refuses it; empty where there is none to answer."""
    name = target.secret.name
    wish = known.swarm.wishes.get(name)
    if wish is None or wish.refused:
        return ()
    answer = _answer(target, wish, known)
    if answer is None:
        return ()
    if isinstance(answer, str):
        refused = replace(wish, refused=answer)
        put = {f"{WISH}{name}": refused.write()}
        return (NoteState(name, put, {}, Reason.WISH_REFUSED, answer),)
    if wish.do == Do.ROTATE and answer:
        return answer  # the wish stays until the new generation is there
    return (*answer, _done(name, wish))


def _answer(target: Target, wish: Wish, known: Situation) -> tuple[Annotate, ...] | str | None:
    """Return what carries a wish out, why it cannot be, or None while it is under way."""
    match wish.do:
        case Do.ROLLBACK:
            return _rollback(target, wish, known)
        case Do.RETRY:
            return _retry(target)
        case Do.RESUME:
            return _drop_marks(target, frozenset({By.OPERATOR}), "an operator asked for it")
        case Do.ROTATE:
            return _rotate(target, wish)
        case Do.RESYNC:
            return _resync(target, wish)
        case Do.FORGET:
            return f"{target.secret.name} is in the configuration: take it out there first"


def let_go(known: Situation) -> list[Chain]:
    """Return what carries out wishes for names that the configuration does not have."""
    configured = {secret.name for secret in known.desired.secrets}
    own = known.unmapped
    forgotten = (removal for name in sorted(own) for removal in _forget(name, own[name], known))
    nothing = (
        _done(name, wish)
        for name, wish in sorted(known.swarm.wishes.items())
        if name not in configured | own.keys()
    )
    return [*one_by_one(*forgotten), *one_by_one(*nothing)]


def _forget(name: str, mirrors: Sequence[Mirror], known: Situation) -> tuple[RemoveSecret, ...]:
    """Return the removals of a secret that the configuration no longer has, on a wish.

    What something still refers to is kept until nothing does.
    """
    swarm = known.swarm
    wish = swarm.wishes.get(name)
    if wish is None or wish.refused or wish.do != Do.FORGET:
        return ()
    needed = swarm.needed_ids
    needed |= {m.id for m in mirrors if m.leased and m.leased.lease and not m.leased.ended}
    why = "an operator has let go of it, and nothing refers to it"
    return tuple(
        RemoveSecret(
            secret=name,
            secret_id=mirror.id,
            docker_name=mirror.docker_name,
            reason=Reason.FORGOTTEN,
            why=why,
        )
        for mirror in mirrors
        if mirror.id not in needed
    )


def _refusal(name: str, swarm: SwarmView) -> Hold | None:
    """Return the hold that reports a refused wish, until another takes its place."""
    wish = swarm.wishes.get(name)
    if wish is None or not wish.refused:
        return None
    return Hold(
        secret=name, reason=Reason.WISH_REFUSED, message=f"{wish.do} was refused: {wish.refused}"
    )


def _rollback(target: Target, wish: Wish, known: Situation) -> tuple[Annotate, ...] | str:
    to = _chosen(target, wish)
    if to is None:
        return f"version {wish.to} is not mirrored (any more)"
    if to.id in target.ended:
        return (
            f"{Reason.CREDENTIAL_ENDED}: the credential of generation {wish.to} is over;"
            f" `vault-bridge rotate {to.secret}` makes a new one"
        )
    source = target.secret.source
    if source.is_destroyed(known.vault.paths.get(source), to.identity):
        return f"version {to.identity.version} is destroyed in Vault, so its credential has ended"
    why = "an operator rolled back" + (f": {wish.why}" if wish.why else "")
    notes = [
        _mark(mirror, why, known.now)
        for mirror in target.mirrors
        if to.order < mirror.order and _by(mirror) != By.OPERATOR
    ]
    if to.asides:
        notes.append(_cleared(to, frozenset(to.asides), "an operator chose it"))
    return tuple(notes)


def _chosen(target: Target, wish: Wish) -> Mirror | None:
    """Return the Docker secret to go back to; of a version made anew the latest not set aside."""
    found = [m for m in target.mirrors if m.identity.version == wish.to]
    if wish.secret:
        found = [m for m in found if m.docker_name == wish.secret]
    return min(found, key=lambda mirror: bool(mirror.asides), default=None)


_PASSING = VAULT_AWAY | {Reason.TRYING_AGAIN}


def _resync(target: Target, wish: Wish) -> tuple[Annotate, ...] | str | None:
    """Return why the current version is not made anew; None while that is under way or unknown."""
    never, shape = cannot_resync(target.secret), target.secret.content.shape
    if never:
        return never
    if wish.shape != shape:
        return (
            f"the bridge goes by another configuration of {target.secret.name} than `resync` did:"
            " let it read its own again (`systemctl reload`), then repeat this"
        )
    if target.hold:
        passes = target.hold.waits or target.hold.reason in _PASSING
        return None if passes else target.hold.message
    if target.not_remade:
        return target.not_remade.message
    if target.create or target.outlived:
        return None
    return _remade(target, shape)


def _remade(target: Target, shape: str) -> tuple[Annotate, ...] | str | None:
    """Return nothing where the current version was made anew and is used, else why it is not."""
    made = [m for m in target.mirrors if m.identity == target.current and m.shape == shape]
    if any(mirror == target.usable and not mirror.asides for mirror in made):
        return ()
    failed = next((mirror for mirror in made if mirror.asides), None)
    if failed is None:
        return None
    mark = next(iter(failed.asides.values()))
    command = "resume" if mark.by == By.OPERATOR else "retry"
    return (
        f"{failed.docker_name} was made as the configuration is now and is set aside ({mark.why}):"
        f" `vault-bridge {command} {failed.secret}` uses it again"
    )


def _rotate(target: Target, wish: Wish) -> tuple[Annotate, ...] | str | None:
    """Return the note on how the former generation ends; None until the new one is there."""
    if not target.secret.leased:
        name, source = target.secret.name, target.secret.source
        return f"{name} is no leased credential: write a new version to {source}"
    newest = target.mirrors[0] if target.mirrors else None
    if newest is None:
        return None  # the first one is made anyhow
    if newest.identity.version > (wish.to or 0):
        return ()
    return _ends_early(newest, wish)


def _ends_early(newest: Mirror, wish: Wish) -> tuple[Annotate, ...] | None:
    """Return the note that a generation ends without grace; None where it ends as others do."""
    how = END_FIRST if wish.first else END_NOW if wish.at_once else ""
    leased = newest.leased
    if not how or leased is None:
        return None
    if leased.at_once in (how, END_FIRST) and (leased.retiring or not wish.first):
        return None  # it is noted
    put = {AT_ONCE: how} | ({RETIRING: wish.at} if wish.first else {})
    why = "an operator wants it ended " + ("before services leave it" if wish.first else "at once")
    why += f": {wish.why}" if wish.why else ""
    note = Annotate.on(
        newest,
        reason=Reason.RETIRING,
        why=why,
        put=put,
    )
    return (note,)


def _by(mirror: Mirror) -> By | None:
    mark = mirror.asides.get("")
    return mark.by if mark else None


def _mark(mirror: Mirror, why: str, now: float) -> Annotate:
    return Annotate.on(
        mirror,
        reason=Reason.SET_ASIDE,
        why=f"set aside for all services: {why}",
        put={aside_label(): SetAside(By.OPERATOR, timestamp(now), why).write()},
    )


def _drop_marks(target: Target, by: frozenset[By], why: str) -> tuple[Annotate, ...]:
    found = (
        (mirror, frozenset(place for place, mark in mirror.asides.items() if mark.by in by))
        for mirror in target.mirrors
    )
    return tuple(_cleared(mirror, places, why) for mirror, places in found if places)


def _retry(target: Target) -> tuple[Annotate, ...]:
    """Return the notes that let what failed be tried again, and what was blocked go on at once."""
    why = "an operator wants it tried again"
    blocked = (mirror for mirror in target.mirrors if mirror.blocks)
    at_once = (
        Annotate.on(
            mirror,
            reason=Reason.WISHED,
            why=f"rolls to it that were blocked go on: {why}",
            drop=frozenset(f"{BLOCKED}{place}" for place in mirror.blocks),
        )
        for mirror in blocked
    )
    return (*_drop_marks(target, _FAILED, why), *at_once)


def _cleared(mirror: Mirror, places: frozenset[str], why: str) -> Annotate:
    """Return the note that drops marks, and the record of a roll that was rolled back by hand.

    Else the same traces would be read again as his word.
    """
    by_hand = (place for place in places if place and mirror.asides[place].by == By.OPERATOR)
    records = frozenset(f"{ROLL}{place}" for place in by_hand if place in mirror.records)
    return Annotate.on(
        mirror,
        reason=Reason.WISHED,
        why=f"no longer set aside: {why}",
        drop=frozenset(aside_label(place) for place in places) | records,
    )


def _done(name: str, wish: Wish) -> NoteState:
    label = f"{WISH}{name}"
    return NoteState(name, {}, {label: wish.write()}, Reason.WISHED, f"{wish.do} is carried out")
