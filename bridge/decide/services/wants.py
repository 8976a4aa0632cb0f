"""Which references of a service should move, and to what?

References are matched by the id of the Docker secret and its labels, never by a name's beginning:
``db`` and ``db_vpn`` are strangers. Which file each of them is, ``files`` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.decide.services.files import Files, files_of
from bridge.decide.versions.target import Target
from bridge.model.conditions import Hold
from bridge.model.desired import DesiredSecret, FileFields
from bridge.model.mirror import Mirror, by_order
from bridge.model.reasons import Reason
from bridge.model.service import Reference, Service
from bridge.model.set_aside import By
from bridge.model.spec import Swap
from bridge.model.swarm_view import SwarmView


@dataclass(frozen=True, kw_only=True, slots=True)
class Want:
    """What one service should have of one secret.

    Attributes:
        held: The mirror that its Spec refers to now; None where it is a hand-made one or none.
        references: The references to it, and to what is hand-made and taken over.
        swap: The references that should move; None where nothing should, or cannot.
        hold: Why it cannot.
        changes: What of the file fields is not as the configuration has it, in words.
        back: Why it should leave the version that it is on; empty where it moves forward.
        alone: Whether the mirror is a suspect, which is tried without any other.
        shared: What the engine makes of changed files that differ, see ``Files``.
        ends: What somebody may miss once the references have moved.
    """

    target: Target
    mirror: Mirror | None
    held: Mirror | None
    references: tuple[Reference, ...]
    swap: Swap | None = None
    hold: Hold | None = None
    changes: tuple[str, ...] = ()
    back: str = ""
    alone: bool = False
    shared: str = ""
    ends: str = ""

    @property
    def urgent(self) -> str:
        """Why the service must leave the version that it is on now; empty where it need not."""
        return self.target.urgent.get(self.held.id, "") if self.held else ""

    @property
    def name(self) -> str:
        """The secret's name."""
        return self.target.secret.name


def wants_by_service(
    targets: Sequence[Target], swarm: SwarmView, fields_asked: frozenset[str]
) -> dict[str, list[Want]]:
    """Return what each service should have, in the order of the targets, by the service's id.

    A service has to do with a secret if the configuration lists it, or if it refers to a version.

    Args:
        fields_asked: Names of the secrets whose changed file fields are applied at once.
    """
    by_name, by_secret = swarm.service_by_name, swarm.services_by_secret
    found: dict[str, list[Want]] = {}
    for target in targets:
        versions = _Versions.of(target)
        concerned: dict[str, Service] = {}
        for mapping in target.secret.services:
            listed = by_name.get(mapping.service)
            if listed:
                concerned[listed.id] = listed
        for mirror_id in versions.own:
            for user in by_secret.get(mirror_id, ()):
                concerned[user.id] = user
        apply = target.secret.name in fields_asked
        for service in concerned.values():
            want = _want_of(service, versions, swarm, apply_fields=apply)
            found.setdefault(service.id, []).append(want)
    return found


@dataclass(frozen=True, slots=True)
class _Versions:
    """A target, with look-ups that are the same for each of its services.

    Attributes:
        own: All its mirrors, by id.
        files: The files that the configuration asks for, by the service's name.
    """

    target: Target
    own: Mapping[str, Mirror]
    files: Mapping[str, tuple[FileFields, ...]]

    @classmethod
    def of(cls, target: Target) -> _Versions:
        return cls(
            target,
            {mirror.id: mirror for mirror in target.own},
            {mapping.service: mapping.files for mapping in reversed(target.secret.services)},
        )


def _want_of(
    service: Service, versions: _Versions, swarm: SwarmView, *, apply_fields: bool
) -> Want:
    """Return what a service should have of a secret that it is listed for or refers to.

    1. It goes back. The references are put back as they were, whatever is configured: the engine
       keeps tasks only where their whole Spec is the former one.
    2. It stays on what it is on.
    3. It moves forward, or is there already.

    Args:
        apply_fields: Whether changed file fields alone are a reason to move a reference.
    """
    target, own = versions.target, versions.own
    references = service.references_to(own)
    mirrors = [own[ref.secret_id] for ref in references]
    held = min(mirrors, key=by_order) if len(mirrors) > 1 else next(iter(mirrors), None)
    found = _destination(service, target, held, references)
    if isinstance(found, Want) and found.back:  # 1
        return found
    wanted = versions.files.get(service.name, ())
    files = files_of(service, target.secret.name, wanted, own.keys(), swarm)
    if isinstance(found, Want):  # 2
        ends = _ends(files, target.secret, None, swarm) if target.create else ""
        return replace(found, hold=found.hold or files.hold, ends=ends)
    return _forward(target, held, found, files, swarm, apply_fields=apply_fields)  # 3


def _forward(
    target: Target,
    held: Mirror | None,
    to: _Forward,
    files: Files,
    swarm: SwarmView,
    *,
    apply_fields: bool,
) -> Want:
    """Return what a service should have that may move forward to a version.

    1. It cannot have the files as they are configured: it is held.
    2. All its references are to that version already. Changed file fields wait for the next roll,
       since the engine restarts every task for them, unless they are to be applied at once.
    3. Otherwise its references move.

    Args:
        held: The version that it is on.
    """
    mirror, secret = to.mirror, target.secret
    stays = to.there and not (files.changes and apply_fields)
    swap, ends = None, ""
    if not (files.hold or stays):  # 3
        swap = files.swap(secret.name, mirror.id, mirror.docker_name)
        ends = _ends(files, secret, mirror, swarm)
    return Want(
        target=target,
        mirror=mirror,
        held=held,
        references=files.references,
        swap=swap,
        hold=files.hold,  # 1
        changes=files.changes,
        alone=to.alone and swap is not None,
        shared=files.shared if files.changes or files.adds else "",
        ends=ends,
    )


def _ends(files: Files, secret: DesiredSecret, mirror: Mirror | None, swarm: SwarmView) -> str:
    """Return a warning where a file that the engine expands is replaced by one taken as it is.

    Args:
        mirror: What replaces it; None where that is yet to be made, as it is configured now.
    """
    to = swarm.secret_by_id.get(mirror.id) if mirror else None
    driver = to.template_driver if to else secret.content.template_driver
    for ref in files.references:
        found = swarm.secret_by_id.get(ref.secret_id)
        if found and found.template_driver not in ("", driver):
            name = mirror.docker_name if mirror else f"the next version of {secret.name}"
            return (
                f"{found.name} is a template (driver {found.template_driver}), and {name} is taken"
                f" as it is: `template_driver: {found.template_driver}` keeps templates, from the"
                " next version that is mirrored on"
            )
    return ""


# --- where to ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Forward:
    """The version that a service may move forward to.

    Attributes:
        alone: Whether it is tried alone.
        there: Whether all references of the service are to it already.
    """

    mirror: Mirror
    alone: bool
    there: bool


def _destination(
    service: Service, target: Target, held: Mirror | None, references: tuple[Reference, ...]
) -> _Forward | Want:
    """Return the version that a service may move forward to; a Want where it goes back or stays."""
    leaving = None
    if held and (held.asides or held.blocks) and held in target.mirrors:
        leaving = _leaving(service, target, held, references)
    return leaving or _newest(service, target, held, references)


def _leaving(
    service: Service, target: Target, held: Mirror, references: tuple[Reference, ...]
) -> Want | None:
    """Return how a service leaves the version that it is on; None where that is no obstacle.

    1. Its roll is blocked, and is to go back: tasks that wait keep the service's slots, and the
       engine may stop one that runs for them. It stays where there is no way back.
    2. The version is a suspect that has its turn alone just now: the mark tells that this was
       begun, not how it ended, and any write would replace the update that the engine is at.
    3. It is set aside, and the newest version that may be used is older, or there is none: it goes
       back. By itself the engine leaves the Spec as it is when an update fails (``pause``), and
       goes on with tasks that crash (``continue``).
    4. It is set aside, and a newer version may be used: nothing is in the way of that.
    """
    block, mark = held.block_for(service.id), held.aside_for(service.id)
    if block is None and mark is None:
        return None
    stays = Want(target=target, mirror=held, held=held, references=references)
    under_way = held.open_record(service.id) is not None
    if block and block.back and under_way:  # 1
        older = _older(service, target, held)
        back = _back(service, target, older, held, references, block.why)
        return back if back.swap else stays
    if mark is None:
        return None
    if mark.by == By.SUSPECT and mark.tried and under_way:  # 2
        return stays
    newest = target.for_service(service.id)
    if newest is None or newest.order < held.order:  # 3
        mirror = newest or _last_resort(service, target, held)
        return _back(service, target, mirror, held, references, mark.why)
    return None  # 4


def _newest(
    service: Service, target: Target, held: Mirror | None, references: tuple[Reference, ...]
) -> _Forward | Want:
    """Return the newest version that a service may have, or a suspect; a Want where it stays.

    1. There is none that may be used.
    2. The service is on a newer one that is not set aside, though no service is moved to that any
       more: only a mark sends a service back.
    3. Vault was restored from an older snapshot, the service is on a version that Vault has no
       more, and what may be used was written before that, since what was written later failed:
       on its version it was well, and what is older in Vault may be long revoked.
    4. A suspect that has yet to be tried alone, before the newest that is not set aside.
    """
    suspect = target.suspect_for(service.id)
    mirror = suspect or target.for_service(service.id)
    if mirror is None or (held and _stays(target, held, mirror)):  # 1, 2, 3
        return Want(target=target, mirror=mirror, held=held, references=references)
    there = {reference.secret_id for reference in references} == {mirror.id}
    return _Forward(mirror, alone=suspect is not None, there=there)  # 4


def _stays(target: Target, held: Mirror, mirror: Mirror) -> bool:
    """Return whether a service stays on a version; the numbers are those of ``_newest``."""
    if mirror.order < held.order and held in target.mirrors:  # 2
        return True
    return held.outlived and mirror.made_before(held)  # 3


def _older(service: Service, target: Target, held: Mirror) -> Mirror | None:
    """Return the newest version below the one that a service is on that may be used there."""
    older = (m for m in target.mirrors if m.order < held.order)
    usable = (m for m in older if m.id not in target.ended and not m.aside_for(service.id))
    return next(usable, None)


def _last_resort(service: Service, target: Target, held: Mirror) -> Mirror | None:
    """Return a good version on which the service was unhealthy by its own fault, if there is any.

    So it is where Swarm takes our own going back for a failed update, and rolls that back: to the
    version that failed.
    """
    for mirror in target.mirrors:
        own, everywhere = mirror.asides.get(service.id), mirror.asides.get("")
        if mirror.good and mirror != held and own and own.by == By.SERVICE and not everywhere:
            return mirror
    return None


# --- the way back --------------------------------------------------------------------------------


def _back(
    service: Service,
    target: Target,
    mirror: Mirror | None,
    held: Mirror,
    references: tuple[Reference, ...],
    why: str,
) -> Want:
    """Return the way back: to the newest version that may be used, else to what was there before.

    The references are put back as the record has them, which keeps healthy tasks alive. No
    PreviousSpec is needed: Swarm's own rollback leaves none, and any write replaces it.

    1. The service may have again what it had: that is put back. It is of the version that may be
       used, or that one is left where it is.
    2. Otherwise the references move to the version that may be used.
    3. There is neither: it is held on what it is on.
    """
    name = target.secret.name
    before = _before(service, target, mirror, held)
    if before is not None and mirror and _ids(before) != {mirror.id}:  # 1
        mirror = None
    if before is None and mirror is None:  # 3
        message = f"{held.docker_name} is set aside ({why}), and there is no other version"
        hold = Hold(secret=name, reason=Reason.NO_WAY_BACK, message=message, service=service.name)
        return Want(
            target=target, mirror=None, held=held, references=references, hold=hold, back=why
        )
    had = ", ".join(dict.fromkeys(ref["SecretName"] for ref in before or ()))
    swap = Swap(
        secret=name,
        to_id=mirror.id if mirror else "",
        to_name=mirror.docker_name if mirror else had,
        from_name=held.docker_name,
        replaces=frozenset(ref.secret_id for ref in references),
        restore=before,
    )
    return Want(target=target, mirror=mirror, held=held, references=references, swap=swap, back=why)


def _before(
    service: Service, target: Target, mirror: Mirror | None, held: Mirror
) -> tuple[Mapping[str, Any], ...] | None:
    """Return the references that are put back as the record has them; None where none are.

    1. There is no record of a roll that moved forward. That of a roll back tells of no reference.
    2. There is a version that may be used, and it goes before what the service had.
    3. What it had is set aside for it, or by an operator: it would fail there too.
    4. The credential that it had is over: new tasks could not log in with it.

    Args:
        mirror: The newest version that may be used.
    """
    record = held.open_record(service.id)
    if record is None or record.back:  # 1
        return None
    before = record.before
    if mirror and not _may_go_before(before, mirror, target):  # 2
        return None
    if _was_refused(before, service, target):  # 3
        return None
    if _ids(before) & target.ended:  # 4
        return None
    return before


def _ids(references: tuple[Mapping[str, Any], ...]) -> set[str]:
    return {ref["SecretID"] for ref in references}


def _may_go_before(before: tuple[Mapping[str, Any], ...], mirror: Mirror, target: Target) -> bool:
    """Return whether a service goes to what it had, rather than to the newest that may be used.

    So it is where both are one, and where it had a version that Vault was restored to before: on
    that it was well, and what is older in Vault may be long revoked.
    """
    ids = _ids(before)
    had_one = bool(ids)  # else its reference was added, and is not taken away while one is usable
    return ids == {mirror.id} or (had_one and ids <= {other.id for other in target.others})


def _was_refused(before: tuple[Mapping[str, Any], ...], service: Service, target: Target) -> bool:
    """Return whether what a service had before is set aside for it, or by an operator.

    What failed elsewhere only (``on_failure: all``) it had, and may have again.
    """
    ids = _ids(before)
    for mirror in target.mirrors:
        own, everywhere = mirror.asides.get(service.id), mirror.asides.get("")
        operators = everywhere is not None and everywhere.by == By.OPERATOR
        if mirror.id in ids and ((own and own.by != By.SERVICE) or operators):
            return True
    return False
