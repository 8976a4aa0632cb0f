"""Which records follow from what was done, and from what operators asked for? Pure.

A record has no value, no lease's id and no accessor: it is made of names, numbers, times and of the
words that the log has too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.model.actions import Action, CreateSecret, MintGeneration
from bridge.model.events import Event
from bridge.model.identity import Identity
from bridge.model.memory import Outcome, Result
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.renewals import is_renewal
from bridge.model.set_aside import By
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import instant, timestamp
from bridge.model.vault_view import KvDocument
from bridge.model.wishes import Wish
from bridge.model.world import World
from bridge.report.facts import Fact, facts_of
from bridge.report.journal import event_of

Body = dict[str, Any]

_ROLLS = frozenset((Event.ROLLING, Event.ROLLING_BACK, Event.CONVERGED, Event.GOOD))
_BY_WISH = frozenset(
    (
        Reason.WISHED,
        Reason.WISH_REFUSED,
        Reason.SET_ASIDE,
        Reason.FORGOTTEN,
        Reason.ROTATION_ASKED,
        Reason.CONTENT_CHANGED,
    )
)
_BY_TIME = frozenset((Reason.ROTATION_DUE, Reason.FORCED_BY_EXPIRY, Reason.OUTDATED))
_BY_VAULT = frozenset((Reason.NEW_VERSION, Reason.ROLLING, Reason.CONVERGED))


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes records.

    Attributes:
        instance: Name of the bridge's instance.
        bridge: Host of the bridge.
    """

    instance: str
    bridge: str

    def body(self, at: float, act: str, **more: object) -> Body:
        """Return the content of a record; what is empty is left out."""
        head = {"at": timestamp(at), "instance": self.instance, "bridge": self.bridge, "act": act}
        return head | {key: value for key, value in more.items() if value not in ("", None, [])}


def is_recorded(outcome: Outcome) -> bool:
    """Return whether an outcome has records.

    Not what only the bridge itself reads, nor renewals, of which there is one every few minutes;
    nor what was found to be otherwise and not done.
    """
    action = outcome.action
    if is_renewal(action):
        return outcome.result in (Result.REFUSED, Result.FAILED)
    if outcome.result == Result.DONE:
        return event_of(action) != Event.NOTED
    return outcome.result != Result.MOVED


def acts_of(outcome: Outcome, author: Author, world: World, at: float) -> Iterator[Body]:
    """Yield the contents of the records of an outcome, one for each secret that it concerns.

    Args:
        world: What was seen when it was decided on.
        at: When it ended, seconds since the epoch.
    """
    if not is_recorded(outcome):
        return
    action, message = outcome.action, outcome.message
    done = outcome.result == Result.DONE
    event = Event.ALREADY_MIRRORED if done and message else event_of(action)
    reason = outcome.verdict.reason if outcome.verdict else action.reason
    for fact in facts_of(action, author.instance, world.swarm):
        mirrors = world.swarm.mirrors_of(author.instance, fact.secret)
        yield author.body(
            at,
            str(event),
            outcome=str(outcome.result),
            reason=str(reason),
            message=message or action.why,
            secret=fact.secret,
            service=fact.service,
            version=fact.version,
            former=fact.former,
            rotation=fact.rotation,
            docker_secret=fact.docker_secret,
            asked_by=_asked_by(action, fact, mirrors, world),
            tasks=_tasks(fact, mirrors, world.swarm) if event in _ROLLS else None,
        )


def _asked_by(
    action: Action, fact: Fact, mirrors: tuple[Mirror, ...], world: World
) -> Mapping[str, object]:
    """Return who asked for an act: an operator, a version in Vault, a time, or the bridge."""
    wish = world.swarm.wishes.get(fact.secret)
    if wish is not None and action.reason in _BY_WISH:
        return by_wish(wish)
    if action.reason == Reason.GOING_BACK:
        left = (m.asides.get("") for m in mirrors if m.identity.version == fact.former)
        mark = next((mark for mark in left if mark and mark.by == By.OPERATOR), None)
        return _by("rollback", "", mark.why, mark.at) if mark else {"kind": "bridge"}
    if action.reason in _BY_TIME:
        return {"kind": "schedule"}
    identity = _identity(action, fact, mirrors)
    if identity and not identity.source.leased and action.reason in _BY_VAULT:
        return _by_vault(identity, world)
    return {"kind": "bridge"}


def _identity(action: Action, fact: Fact, mirrors: tuple[Mirror, ...]) -> Identity | None:
    if isinstance(action, CreateSecret):
        return action.identity
    if isinstance(action, MintGeneration):
        return None
    found = (m.identity for m in mirrors if m.docker_name == fact.docker_secret)
    return next(found, None)


def _by_vault(identity: Identity, world: World) -> Mapping[str, object]:
    """Return the version of Vault that an act follows, with who wrote it where Vault tells that."""
    document = world.vault.paths.get(identity.source)
    found: dict[str, object] = {
        "kind": "vault",
        "source": str(identity.source),
        "version": identity.version,
        "created": identity.created,
    }
    if isinstance(document, KvDocument):
        version = document.versions.get(identity.version)
        by = dict(version.created_by) if version else {}
        found |= {"created_by": by} if by else {}
    return found


def by_wish(wish: Wish) -> Mapping[str, object]:
    """Return an operator's wish, as a record names it."""
    return _by(str(wish.do), wish.by, wish.why, wish.at)


def _by(command: str, name: str, reason: str, at: str) -> Mapping[str, object]:
    found = {"kind": "operator", "command": command, "name": name, "reason": reason, "at": at}
    return {key: value for key, value in found.items() if value}


def _tasks(fact: Fact, mirrors: tuple[Mirror, ...], view: SwarmView) -> list[Body]:
    """Return how many tasks hold which version on which node, of one service or of all."""
    versions = {mirror.id: mirror.identity.version for mirror in mirrors}
    counts: Counter[tuple[str, str, int]] = Counter()
    for task in view.tasks:
        service = view.service_by_id.get(task.service_id)
        if not task.live or service is None or fact.service not in ("", service.name):
            continue
        for held in task.secret_ids & versions.keys():
            counts[service.name, task.node, versions[held]] += 1
    return [
        {"service": service, "node": node, "version": version, "tasks": count}
        for (service, node, version), count in sorted(counts.items())
    ]


def asked(
    author: Author, former: SwarmView | None, view: SwarmView, at: float, since: str = ""
) -> Iterator[Body]:
    """Yield the contents of the records of what operators asked for since a look at the swarm.

    Args:
        former: The look before; None where there was none.
        since: Where there was none: what is later than this is new, RFC 3339. Empty for nothing.
    """
    before = None if former is None else dict(_wanted(former))
    for (kind, secret), by in _wanted(view):
        if before is None:
            new = _is_later(str(by.get("at", "")), since)
        else:
            new = before.get((kind, secret)) != by
        if new:
            yield author.body(at, str(Event.ASKED), secret=secret, asked_by=by)
    over = set() if former is None else former.pauses.keys() - view.pauses.keys()
    for secret in sorted(over):
        resumed = {"kind": "operator", "command": "resume"}
        yield author.body(at, str(Event.ASKED), secret=secret, asked_by=resumed)


def _wanted(view: SwarmView) -> Iterator[tuple[tuple[str, str], Mapping[str, object]]]:
    """Yield what operators want: by command and secret, as a record names it."""
    for secret, wish in view.wishes.items():
        yield ("wish", secret), by_wish(wish)
    for secret, pause in view.pauses.items():
        yield ("pause", secret), _by("pause", pause.by, pause.why, pause.at)
    for secret, approval in view.approvals.items():
        by = _by("approve", approval.by, approval.why, approval.at)
        yield ("approve", secret), {**by, "version": approval.version}


def _is_later(at: str, since: str) -> bool:
    try:
        return bool(since) and instant(at) > instant(since)
    except ValueError:
        return False
