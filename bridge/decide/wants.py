"""Which references of a service should move, and to what?

References are matched by the id of the Docker secret and its labels, never by a name's beginning:
``db`` and ``db_vpn`` are strangers. A secret that people rotated by hand (``db_password`` or
``db_password_v1``, unlabelled) is moved from where it holds the same target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.decide.target import Target
from bridge.model.desired import FileFields
from bridge.model.mirror import By, Mirror
from bridge.model.naming import is_hand_made
from bridge.model.plan import Hold, Swap
from bridge.model.reasons import Reason
from bridge.model.world import Reference, Service

NO_FIELDS = FileFields()


@dataclass(frozen=True, slots=True)
class Want:
    """What one service should have of one secret.

    Attributes:
        held: The mirror that its Spec refers to now; None where it is a hand-made one or none.
        swap: The reference that should move; None where nothing should, or cannot.
        hold: Why it cannot.
        changes: What of the file fields is not as the configuration has it, in words.
        back: Why it should leave the version that it is on; empty where it moves forward.
        alone: Whether the mirror is a suspect, which is tried without any other.
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

    @property
    def urgent(self) -> str:
        """Why the service must leave the version that it is on now; empty where it need not."""
        return self.target.urgent.get(self.held.id, "") if self.held else ""

    @property
    def name(self) -> str:
        """The secret's name."""
        return self.target.secret.name


def want_of(service: Service, target: Target, *, apply_fields: bool = False) -> Want | None:
    """Say what a service should have of a secret; None where it has nothing to do with it.

    Args:
        apply_fields: Whether changed file fields alone are a reason to move a reference.
    """
    secret = target.secret
    listed = next((m.file for m in secret.services if m.service == service.name), None)
    own = {mirror.id: mirror for mirror in (*target.mirrors, *target.others)}
    references = tuple(ref for ref in service.references if ref.secret_id in own)
    if listed is None and not references:
        return None

    held = min(
        (own[ref.secret_id] for ref in references), key=lambda m: m.identity.order, default=None
    )
    found = _destination(service, target, held, references)
    if isinstance(found, Want):
        return found
    mirror, alone = found
    file = listed or NO_FIELDS
    if references and all(ref.secret_id == mirror.id for ref in references):
        changes = _changes(references, file)
        if not (changes and apply_fields):
            return Want(target, mirror, held, references, changes=changes)
    if not references:
        taken = _hand_made(service, secret.name, file)
        if isinstance(taken, Hold):
            return Want(target, mirror, held, references, hold=taken)
        references = taken
    file = _for(references, file)
    changes = _changes(references, file)
    clash = _conflict(service, references, file, secret.name)
    if clash:
        return Want(target, mirror, held, references, hold=clash)
    swap = Swap(
        secret.name,
        mirror.id,
        mirror.docker_name,
        references[0].secret_name if references else "",
        frozenset(ref.secret_id for ref in references),
        file,
        changes,
    )
    return Want(target, mirror, held, references, swap, changes=changes, alone=alone)


def _destination(
    service: Service, target: Target, held: Mirror | None, references: tuple[Reference, ...]
) -> tuple[Mirror, bool] | Want:
    """Say which version a service should move to, and whether alone; a Want where it stays."""
    mirror = target.for_service(service.id)
    mark = held.aside_for(service.id) if held and held in target.mirrors else None
    if held and mark:
        if mark.by == By.SUSPECT and mark.tried and held.open_record(service.id):
            return Want(target, held, held, references)  # it has its turn alone just now
        if mirror is None or mirror.identity < held.identity:
            mirror = mirror or _last_resort(service, target, held)
            return _back(service, target, mirror, held, references, mark.why)
    suspect = target.suspect_for(service.id)
    mirror = suspect or mirror
    if mirror is None:
        return Want(target, None, held, references)
    if held and mirror.identity < held.identity and held in target.mirrors:
        return Want(target, mirror, held, references)  # it is on a newer one than Vault's
    if held and held.outlived and mirror.made_before(held):
        return Want(target, mirror, held, references)  # what was written since failed on it
    return mirror, suspect is not None


def _last_resort(service: Service, target: Target, held: Mirror) -> Mirror | None:
    """Return a good version on which the service was ill by its own fault, if there is any.

    So it is where Swarm takes our own going back for a failed update, and rolls that back: to the
    version that failed.
    """
    for mirror in target.mirrors:
        own, everywhere = mirror.asides.get(service.id), mirror.asides.get("")
        if mirror.good and mirror != held and own and own.by == By.SERVICE and not everywhere:
            return mirror
    return None


def _back(
    service: Service,
    target: Target,
    mirror: Mirror | None,
    held: Mirror,
    references: tuple[Reference, ...],
    why: str,
) -> Want:
    """Go back: to the newest version that may be used, else to what was there before.

    The references are put back as the record has them, which keeps healthy tasks alive. No
    PreviousSpec is needed: Swarm's own rollback leaves none, and any write replaces it.
    """
    record = held.open_record(service.id)
    before = record.before if record else None
    name = target.secret.name
    if before is not None and mirror and not _may_go_before(before, mirror, target):
        before = None
    if before is not None and _was_refused(before, service, target):
        before = None
    if before is not None and any(ref["SecretID"] in target.ended for ref in before):
        before = None  # its credential is over
    if before is not None and mirror and {ref["SecretID"] for ref in before} != {mirror.id}:
        mirror = None  # it is left where it is: what the service had is put back
    if before is None and mirror is None:
        message = f"{held.docker_name} is set aside ({why}), and there is no other version"
        hold = Hold(name, Reason.NO_WAY_BACK, message, service.name)
        return Want(target, None, held, references, hold=hold, back=why)
    swap = Swap(
        name,
        mirror.id if mirror else "",
        mirror.docker_name if mirror else ", ".join(ref["SecretName"] for ref in before or ()),
        held.docker_name,
        frozenset(ref.secret_id for ref in references),
        NO_FIELDS,
        restore=before,
    )
    return Want(target, mirror, held, references, swap, back=why)


def _may_go_before(before: tuple[Mapping[str, Any], ...], mirror: Mirror, target: Target) -> bool:
    """Tell whether a service goes to what it had, rather than to the newest that may be used.

    So it is where both are one, and where it had a version that Vault was restored to before: on
    that it was well, and what is older in Vault may be long revoked.
    """
    ids = {ref["SecretID"] for ref in before}
    had_one = bool(ids)  # else its reference was added, and is not taken away while one is usable
    return ids == {mirror.id} or (had_one and ids <= {other.id for other in target.others})


def _was_refused(before: tuple[Mapping[str, Any], ...], service: Service, target: Target) -> bool:
    """Tell whether what a service had before is itself set aside for it, or by an operator.

    What failed elsewhere only (``on_failure: all``) it had, and may have again.
    """
    ids = {ref["SecretID"] for ref in before}
    for mirror in target.mirrors:
        own, everywhere = mirror.asides.get(service.id), mirror.asides.get("")
        operators = everywhere is not None and everywhere.by == By.OPERATOR
        if mirror.id in ids and ((own and own.by != By.SERVICE) or operators):
            return True
    return False


def _for(references: tuple[Reference, ...], file: FileFields) -> FileFields:
    """Leave the names of several files alone: one configured target cannot be that of them all."""
    return FileFields(None, file.uid, file.gid, file.mode) if len(references) > 1 else file


def _changes(references: tuple[Reference, ...], file: FileFields) -> tuple[str, ...]:
    """Say in words what of the references' files is not as it is configured."""
    file = _for(references, file)
    found: dict[str, None] = {}
    for ref in references:
        for key, now, wanted in (
            ("target", ref.target, file.target),
            ("uid", ref.uid, file.uid),
            ("gid", ref.gid, file.gid),
            ("mode", f"{ref.mode:04o}", None if file.mode is None else f"{file.mode:04o}"),
        ):
            if wanted is not None and wanted != now:
                found[f"{key} {now} -> {wanted}"] = None
    return tuple(found)


def _hand_made(service: Service, name: str, file: FileFields) -> tuple[Reference, ...] | Hold:
    """Find the hand-made reference to move from; an empty tuple where one is to be added."""
    candidates = [ref for ref in service.references if is_hand_made(name, ref.secret_name)]
    if file.target is not None:
        candidates = [ref for ref in candidates if ref.target == file.target]
    elif len(candidates) > 1:
        candidates = [ref for ref in candidates if ref.target == name] or candidates
    if len(candidates) > 1:
        names = ", ".join(ref.secret_name for ref in candidates)
        return Hold(
            name,
            Reason.TARGET_TAKEN,
            f"{service.name} refers to {names}: give `target` to say which file is meant",
            service.name,
        )
    return tuple(candidates)


def _conflict(
    service: Service, references: tuple[Reference, ...], file: FileFields, name: str
) -> Hold | None:
    """Say which other secret's file is in the way of the target."""
    wanted = file.target if references or file.target is not None else name
    if wanted is None:
        return None
    moving = {ref.secret_id for ref in references}
    for ref in service.references:
        if ref.target == wanted and ref.secret_id not in moving:
            return Hold(
                name,
                Reason.TARGET_TAKEN,
                f"{service.name} has the secret {ref.secret_name} under the target {wanted}",
                service.name,
            )
    return None
