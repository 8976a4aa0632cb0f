"""Which messages one receiver gets: what it was told before, and a cycle, give messages.

1. *One message for each change and cause*, however many secrets: a message names all that have the
   cause by then. Later ones follow in another message, after ``min_interval``; where the cause is
   Vault or the swarm as a whole there is none.
2. *Held* is told once it has lasted ``held_after``, everything else at once.
3. *What was there already* when this process began to lead is told once it has lasted
   ``held_after`` from then: the process that led before has told it, mostly, and a bridge that
   restarts again and again tells nothing. What ends before is not told at all.
4. *Recovered* is told of what was told, once it is well and nothing of it is on its way. Where the
   cause goes on elsewhere, it waits for ``min_interval``, so that one message tells of many; where
   the cause is a whole server, until that is back for all.
5. A roll that fails again on a newer version is another change.
6. Where the clock is set back, what would be later than now counts as now: nothing waits for hours
   until the clock is there again.

It is pure; losing the state is the same as another process beginning to lead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bridge.model.notification import Message, Receiver, Topic
from bridge.report.message_texts import happened, recovered, troubled
from bridge.report.troubles import (
    SWARM_AWAY,
    Facts,
    Happening,
    Place,
    Trouble,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverState:
    """What one receiver was told, and what it may be told yet. Times are seconds since the epoch.

    Attributes:
        began: When this process began to lead; None while it does not.
        since: When each thing that is wrong was first seen.
        words: The words for each.
        old: What was wrong already when this process began to lead.
        told: What is wrong, or is on its way, and was told.
        over: When each place that was told of was well again, as long as that is not told.
        sent: When the last message of an event and cause was sent.
        happened: What was done and is not told yet.
    """

    began: float | None = None
    since: Mapping[Trouble, float] = field(default_factory=dict)
    words: Mapping[Trouble, str] = field(default_factory=dict)
    old: frozenset[Trouble] = frozenset()
    told: frozenset[Trouble] = frozenset()
    over: Mapping[Place, float] = field(default_factory=dict)
    sent: Mapping[tuple[Topic, str], float] = field(default_factory=dict)
    happened: tuple[Happening, ...] = ()


KNOWS_NOTHING = ReceiverState()


def messages_of(
    receiver: Receiver, former: ReceiverState, facts: Facts
) -> tuple[tuple[Message, ...], ReceiverState]:
    """Return the messages that a cycle gives, and what the receiver has been told then."""
    former = _not_later(former, facts.at)
    now: Mapping[Trouble, str] = facts.troubles
    moving: Collection[str] = facts.rolling
    if facts.failed and former.began is not None:
        # Nothing is known but that cycles fail; all else is as it was.
        now = {t: w for t, w in former.words.items() if t.cause != SWARM_AWAY} | dict(now)
        moving = {trouble.place.secret for trouble in former.told}
    elif not facts.leads:
        return (), KNOWS_NOTHING
    now = {trouble: words for trouble, words in now.items() if _concerns(receiver, trouble)}
    state = _seen(former, now, facts.at)
    if former.began is None:
        return (), replace(state, old=frozenset(now))
    new = [happening for happening in facts.happened if _is_wanted(receiver, happening)]
    state = replace(state, happened=_without_repeats((*state.happened, *new)))
    state = _ended(state, moving, facts.at)
    messages: list[Message] = []
    for tell in (_tell_troubles, _tell_recoveries, _tell_happenings):
        told, state = tell(receiver, state, facts)
        messages += told
    return tuple(messages), state


def _not_later(state: ReceiverState, at: float) -> ReceiverState:
    return replace(
        state,
        since={trouble: min(since, at) for trouble, since in state.since.items()},
        over={place: min(since, at) for place, since in state.over.items()},
        sent={group: min(sent, at) for group, sent in state.sent.items()},
    )


def _concerns(receiver: Receiver, trouble: Trouble) -> bool:
    return receiver.concerns(trouble.place.secret)


def _is_wanted(receiver: Receiver, happening: Happening) -> bool:
    return happening.event in receiver.events and receiver.concerns(happening.secret)


def _without_repeats(happened: Iterable[Happening]) -> tuple[Happening, ...]:
    """Keep the latest of each event and secret, so that what waits is bounded."""
    latest = {(happening.event, happening.secret): happening for happening in happened}
    return tuple(latest.values())


def _seen(former: ReceiverState, now: Mapping[Trouble, str], at: float) -> ReceiverState:
    return replace(
        former,
        began=at if former.began is None else former.began,
        since={trouble: former.since.get(trouble, at) for trouble in now},
        words=now,
        old=former.old & now.keys(),
    )


def _ended(state: ReceiverState, moving: Collection[str], at: float) -> ReceiverState:
    """Note what was told and is well again, and what came back before that was told."""
    present = {trouble.place for trouble in state.since}
    over = {place: since for place, since in state.over.items() if place not in present}
    for trouble in state.told:
        place = trouble.place
        if place not in present and (trouble.whole or place.secret not in moving):
            over.setdefault(place, at)
    return replace(state, over=over)


_Group = tuple[Topic, str]
"""An event and its cause."""


def _tell_troubles(
    receiver: Receiver, state: ReceiverState, facts: Facts
) -> tuple[list[Message], ReceiverState]:
    messages: list[Message] = []
    at = facts.at
    told, sent = set(state.told), dict(state.sent)
    for (event, cause), group in _by_cause(state.since.keys() - state.told).items():
        if event not in receiver.events or not any(_is_due(receiver, state, t, at) for t in group):
            continue
        if group[0].whole and any(t.cause == cause for t in state.told & state.since.keys()):
            told.update(group)
            continue
        if _is_too_soon(receiver, sent, (event, cause), at):
            continue
        since = min(state.since[trouble] for trouble in group)
        words = {trouble.place: state.words[trouble] for trouble in group}
        messages.append(troubled(event, cause, words, since, facts.instance))
        told.update(group)
        sent[event, cause] = at
    return messages, replace(state, told=frozenset(told), sent=sent)


def _by_cause(troubles: Iterable[Trouble]) -> dict[_Group, list[Trouble]]:
    found: dict[_Group, list[Trouble]] = {}
    for trouble in sorted(troubles):
        found.setdefault((trouble.place.event, trouble.cause), []).append(trouble)
    return found


def _is_due(receiver: Receiver, state: ReceiverState, trouble: Trouble, at: float) -> bool:
    waits = trouble.place.event == Topic.HELD or trouble in state.old
    return at - state.since[trouble] >= (receiver.held_after if waits else 0.0)


def _is_too_soon(receiver: Receiver, sent: Mapping[_Group, float], what: _Group, at: float) -> bool:
    return what in sent and at - sent[what] < receiver.min_interval


def _tell_recoveries(
    receiver: Receiver, state: ReceiverState, facts: Facts
) -> tuple[list[Message], ReceiverState]:
    causes = _recovered(receiver, state, facts.at) if state.over else {}
    if not causes:
        return [], state
    over = {place: since for place, since in state.over.items() if place not in causes}
    told = frozenset(trouble for trouble in state.told if trouble.place not in causes)
    state = replace(state, over=over, told=told)
    if Topic.RECOVERED not in receiver.events:
        return [], state
    return [recovered(causes, facts.at, facts.instance)], state


def _recovered(receiver: Receiver, state: ReceiverState, at: float) -> dict[Place, tuple[str, ...]]:
    """Return what is told to be well again now, with what was wrong with it."""
    former: dict[Place, list[Trouble]] = {}
    for trouble in sorted(state.told):
        former.setdefault(trouble.place, []).append(trouble)
    go_on = {(trouble.place.event, trouble.cause) for trouble in state.since}
    causes: dict[Place, tuple[str, ...]] = {}
    for place, since in sorted(state.over.items()):
        elsewhere = [t for t in former[place] if (place.event, t.cause) in go_on]
        waits = receiver.min_interval if elsewhere else 0.0
        if not any(trouble.whole for trouble in elsewhere) and at - since >= waits:
            causes[place] = tuple(dict.fromkeys(trouble.cause for trouble in former[place]))
    return causes


def _tell_happenings(
    receiver: Receiver, state: ReceiverState, facts: Facts
) -> tuple[list[Message], ReceiverState]:
    messages: list[Message] = []
    waiting: list[Happening] = []
    sent = dict(state.sent)
    groups: dict[_Group, list[Happening]] = {}
    for happening in state.happened:
        groups.setdefault((happening.event, happening.cause), []).append(happening)
    for (event, cause), group in groups.items():
        if _is_too_soon(receiver, sent, (event, cause), facts.at):
            waiting += group
            continue
        words = {happening.secret: happening.words for happening in group}
        messages.append(happened(event, cause, words, facts.at, facts.instance))
        sent[event, cause] = facts.at
    return messages, replace(state, happened=tuple(waiting), sent=sent)
