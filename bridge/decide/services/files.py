"""Which files of a service does a mapping mean, and can the service have them as it says?

One Docker secret may stand in a service under several targets. All of its references move to a new
version together (I2), each with its own file (I3). What the configuration fixes concerns the
reference with that target and no other. The cases, with F for a mapping's file:

1. F has a target, and a reference has it: F's fields apply to that reference. ``x``,
   ``/run/secrets/x`` and ``./x`` are one target; it stays written as it is, since the engine
   restarts tasks for any other spelling, and templated secrets look each other up by it.
2. F has a target that no reference has, is the only one for the service, and there is one
   reference: that file is renamed.
3. F has a target that no reference has, otherwise: a reference is added. Which of several would be
   meant is not guessed, and nothing is removed that the configuration does not name.
4. F has no target, and there is one reference: F's fields apply to that.
5. F has no target, there are several references, and one has the default target, the secret's
   name: F's fields apply to that. In a list of several F without a target always means this one.
6. F has no target, and no reference of several has the default target: held where F has fields to
   apply. With none there is nothing to ask, and all references move.
7. There is no reference: a hand-made secret's is moved from where it holds F's target, or where F
   has none and it is the only one; else a reference is added.

What cannot be is foreseen, since the engine finds out too late, or never: it refuses two files in
one place only where they are spelled alike, else one hides the other; and a file within another
fails each task. The engine also gives all files of one Docker secret in a service the uid, gid and
mode of its last reference (20.10, 26.1 and 28.5 do). That is reported: they have one content, so
nobody can read more than some reference says, but a program may not take the file as it then is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

from bridge.model.conditions import Hold
from bridge.model.desired import FileFields
from bridge.model.labels import PREFIX
from bridge.model.names import is_hand_made
from bridge.model.reasons import Reason
from bridge.model.service import Reference, Service, is_in_the_way
from bridge.model.spec import FileEdit, Swap, moved
from bridge.model.swarm_view import SwarmView

_NEW = ""
"""Stands for the id of the version that files move to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The files of one secret in one service.

    Attributes:
        references: The references that move, in the service's order.
        edits: What changes of single ones besides.
        adds: References that are to be added.
        changes: The same in words.
        hold: Why the service cannot have them so.
        shared: What the engine makes of files of one secret that differ; empty where none do.
    """

    references: tuple[Reference, ...] = ()
    edits: tuple[FileEdit, ...] = ()
    adds: tuple[FileFields, ...] = ()
    changes: tuple[str, ...] = ()
    hold: Hold | None = None
    shared: str = ""

    def swap(self, name: str, to_id: str, to_name: str) -> Swap:
        """Return the swap that moves them."""
        return Swap(
            secret=name,
            to_id=to_id,
            to_name=to_name,
            from_name=", ".join(dict.fromkeys(ref.secret_name for ref in self.references)),
            replaces=frozenset(ref.secret_id for ref in self.references),
            edits=self.edits,
            adds=self.adds,
            changes=self.changes,
        )


class _Meant(NamedTuple):
    edits: tuple[FileEdit, ...] = ()
    adds: tuple[FileFields, ...] = ()
    asks: bool = False


def files_of(
    service: Service,
    name: str,
    files: tuple[FileFields, ...],
    own: AbstractSet[str],
    swarm: SwarmView,
) -> Files:
    """Return the files that a service has or should have of a secret.

    Args:
        name: The secret's name.
        files: What the configuration says of them; empty where it does not list the service.
        own: Ids of the secret's mirrors.
    """
    references = service.references_to(own)
    if not files:
        return Files(references=references)
    if len(files) > 1:
        files = tuple(replace(f, target=f.target or name) for f in files)
    taken = _hand_made(service, name, files, own, swarm)
    if isinstance(taken, Hold):
        return Files(references=references, hold=taken)
    if taken:
        references = service.references_to(own | taken)
    meant = _meant(references, files, name)
    found = Files(
        references=references,
        edits=meant.edits,
        adds=meant.adds,
        changes=_changes(references, meant),
        hold=_which(service, name, references) if meant.asks else None,
        shared="" if meant.asks else _shared(references),
    )
    return found if meant.asks else _foreseen(service, name, found, swarm)


def _foreseen(service: Service, name: str, found: Files, swarm: SwarmView) -> Files:
    """Return the files with what the engine would make of them, or why it could not.

    1. Each file stays as it is. What is in the way of another is so already, and is no reason to
       hold a roll; only which reference is the last one is to be told.
    2. Otherwise the service is looked at as it would be with the files moved.
    """
    if found.references and not found.adds and not found.changes:  # 1
        return found
    swap = found.swap(name, _NEW, "")  # 2
    after = tuple(map(Reference.read, moved([ref.write() for ref in service.references], swap)))
    hold = _obstacle(service, swap, after, swarm)
    return replace(found, hold=hold, shared=_shared(tuple(r for r in after if r.secret_id == _NEW)))


def _meant(references: tuple[Reference, ...], files: tuple[FileFields, ...], name: str) -> _Meant:
    """Return the reference that each file means; the numbers are those of the cases above."""
    targets = {ref.target for ref in references}
    if len(files) == 1 and files[0].target is None and references:
        if len(targets) == 1:  # 4
            return _Meant((FileEdit(references[0].target, files[0]),))
        if name in targets:  # 5
            return _Meant((FileEdit(name, files[0]),))
        return _Meant(asks=not files[0].says_nothing)  # 6
    edits: list[FileEdit] = []
    adds: list[FileFields] = []
    for file in files:
        if file.target is not None and file.target in targets:  # 1
            edits.append(FileEdit(file.target, file))
        elif len(files) == 1 and len(references) == 1:  # 2
            edits.append(FileEdit(references[0].target, file))
        else:  # 3, 7
            adds.append(file)
    return _Meant(tuple(edits), tuple(adds))


def _which(service: Service, name: str, references: tuple[Reference, ...]) -> Hold:
    targets = ", ".join(ref.target for ref in references)
    return Hold(
        secret=name,
        reason=Reason.TARGET_TAKEN,
        message=f"{service.name} has {references[0].secret_name} under the targets {targets}, and"
        f" none is {name}: give the `target` that is meant, or a list with one entry for each",
        service=service.name,
    )


# --- in words ------------------------------------------------------------------------------------


def _changes(references: tuple[Reference, ...], meant: _Meant) -> tuple[str, ...]:
    """Return what of the files is not as it is configured, in words."""
    found: dict[str, None] = {}
    several = len(references) + len(meant.adds) > 1
    for edit in meant.edits:
        if edit.file.says_nothing:
            continue
        for ref in references:
            if ref.target == edit.at:
                prefix = f"{ref.target}: " if several else ""
                found |= dict.fromkeys(f"{prefix}{words}" for words in _differences(ref, edit.file))
    if len(meant.adds) > (0 if references else 1):
        found |= dict.fromkeys(f"add the target {file.target}" for file in meant.adds)
    return tuple(found)


def _differences(ref: Reference, file: FileFields) -> Iterator[str]:
    for key, now, wanted in (
        ("target", ref.target, file.target),
        ("uid", ref.uid, file.uid),
        ("gid", ref.gid, file.gid),
        ("mode", f"{ref.mode:04o}", None if file.mode is None else f"{file.mode:04o}"),
    ):
        if wanted is not None and wanted != now:
            yield f"{key} {now} -> {wanted}"


def _shared(references: tuple[Reference, ...]) -> str:
    """Return which file decides on owner and mode of them all; empty where they are the same."""
    if len(references) <= 1 or len({(ref.uid, ref.gid, ref.mode) for ref in references}) == 1:
        return ""
    last = references[-1]
    others = ", ".join(ref.target for ref in references[:-1])
    return (
        "Docker gives all files of one secret in a service the uid, gid and mode of the last one:"
        f" those of {last.target} ({last.uid}, {last.gid}, {last.mode:04o}) hold for {others} too"
    )


# --- hand-made secrets, and others' ---------------------------------------------------------------


def _hand_made(
    service: Service,
    name: str,
    files: tuple[FileFields, ...],
    own: AbstractSet[str],
    swarm: SwarmView,
) -> frozenset[str] | Hold:
    """Return the ids of the hand-made secrets to move from.

    The labels decide, not the name: what carries those of a bridge was not made by hand.

    1. The files have targets: each hand-made secret under one of these. The engine refuses two
       references with one target, so what has it now is to be replaced.
    2. A file without a target, and the service refers to a mirror: that is meant, and none is
       taken over.
    3. A file without a target, and what has such a name is all of bridges: it is held, since that
       is not this bridge's to move.
    4. A file without a target, and otherwise: the only hand-made secret, if there is any.
    """
    named = [ref for ref in service.named_as_by_hand(name) if ref.secret_id not in own]
    if not named:
        return frozenset()
    candidates = [ref for ref in named if not is_a_bridges(ref.secret_id, swarm)]
    targets = {file.target for file in files if file.target is not None}
    if targets:  # 1
        return frozenset(ref.secret_id for ref in candidates if ref.target in targets)
    if service.references_to(own):  # 2
        return frozenset()
    if not candidates:  # 3
        return _not_owned(service, name, named[0], swarm)
    return _only_one(service, name, candidates)  # 4


def _only_one(service: Service, name: str, candidates: list[Reference]) -> frozenset[str] | Hold:
    """Return the id of the hand-made secret that is meant where no target is configured.

    1. There is one Docker secret at most, under however many targets.
    2. There are several, and one has the default target, the secret's name: that is meant.
    3. There are several otherwise: which one is meant is not guessed, since a program would read
       another credential than its own.
    """
    ids = frozenset(ref.secret_id for ref in candidates)
    if len(ids) <= 1:  # 1
        return ids
    default = frozenset(ref.secret_id for ref in candidates if ref.target == name)
    if len(default) == 1:  # 2
        return default
    names = ", ".join(ref.secret_name for ref in candidates)  # 3
    message = f"{service.name} refers to {names}: give `target` to say which file is meant"
    return Hold(secret=name, reason=Reason.TARGET_TAKEN, message=message, service=service.name)


def is_a_bridges(secret_id: str, swarm: SwarmView) -> bool:
    """Return whether a Docker secret carries labels of a bridge, of whichever instance."""
    secret = swarm.secret_by_id.get(secret_id)
    return secret is not None and any(label.startswith(PREFIX) for label in secret.labels)


def _not_owned(service: Service, name: str, ref: Reference, swarm: SwarmView) -> Hold:
    mirror = swarm.mirror_by_id.get(ref.secret_id)
    whose = f"the bridge `{mirror.instance}`" if mirror else "another bridge"
    return Hold(
        secret=name,
        reason=Reason.NOT_OWNED,
        message=f"{service.name} has {ref.secret_name} of {whose} under the target {ref.target}:"
        " take it out of the service, or give another `target`",
        service=service.name,
    )


# --- what cannot be ------------------------------------------------------------------------------


def _obstacle(
    service: Service, swap: Swap, after: tuple[Reference, ...], swarm: SwarmView
) -> Hold | None:
    """Return why a service cannot have what a swap leads to; None where it can."""
    before = service.references
    known = {frozenset({a.file_name, b.file_name}) for a, b in _clashes(before)}
    for one, other in _clashes(after):
        if frozenset({one.file_name, other.file_name}) not in known:
            return _taken(service, swap, one, other, swarm)
    return None


def _clashes(references: Iterable[Reference]) -> Iterator[tuple[Reference, Reference]]:
    """Yield the pairs whose files cannot both be: in one place, or one within the other."""
    for one, other in combinations(references, 2):
        if is_in_the_way(one.file_name, other.file_name):
            yield one, other


def _taken(
    service: Service, swap: Swap, one: Reference, other: Reference, swarm: SwarmView
) -> Hold:
    """Return the hold that names the file in the way; what moves has no id yet."""
    ours, theirs = (other, one) if other.secret_id == swap.to_id else (one, other)
    if theirs.secret_id == swap.to_id:
        message = f"{service.name} cannot have both {one.target} and {other.target}"
        return Hold(
            secret=swap.secret, reason=Reason.TARGET_TAKEN, message=message, service=service.name
        )
    if is_a_bridges(theirs.secret_id, swarm) and is_hand_made(swap.secret, theirs.secret_name):
        return _not_owned(service, swap.secret, theirs, swarm)
    message = f"{service.name} has the secret {theirs.secret_name} under the target {theirs.target}"
    if ours.target != theirs.target:
        message += f", which cannot be beside {ours.target}"
    return Hold(
        secret=swap.secret, reason=Reason.TARGET_TAKEN, message=message, service=service.name
    )
