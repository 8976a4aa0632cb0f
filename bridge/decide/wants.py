"""Which references of a service should move, and to what?

References are matched by the id of the Docker secret and its labels, never by a name's beginning:
``db`` and ``db_vpn`` are strangers. A secret that people rotated by hand (``db_password`` or
``db_password_v1``, unlabelled) is moved from where it holds the same target.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.decide.target import Target
from bridge.model.desired import FileFields
from bridge.model.mirror import Mirror
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
    """

    target: Target
    mirror: Mirror | None
    held: Mirror | None
    references: tuple[Reference, ...]
    swap: Swap | None = None
    hold: Hold | None = None
    changes: tuple[str, ...] = ()

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
    mirror = target.for_service(service.id)
    if mirror is None:
        return Want(target, None, held, references)
    file = listed or NO_FIELDS
    if references and all(ref.secret_id == mirror.id for ref in references):
        changes = _changes(references, file)
        if not (changes and apply_fields):
            return Want(target, mirror, held, references, changes=changes)
    if held and mirror.identity < held.identity and held in target.mirrors:
        # Only older versions may be used: what is done about a failed one is decided elsewhere.
        return Want(target, mirror, held, references)

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
    return Want(target, mirror, held, references, swap, changes=changes)


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
