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
from bridge.model.desired import DesiredSecret
from bridge.model.mirror import Mirror
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
    by_secret = swarm.services_by_secret
    found: dict[str, list[Want]] = {}
    for target in targets:
        listed = (swarm.service_by_name.get(m.service) for m in target.secret.services)
        users = (by_secret.get(mirror.id, ()) for mirror in (*target.mirrors, *target.others))
        concerned = {service.id: service for service in listed if service}
        concerned |= {service.id: service for some in users for service in some}
        for service in concerned.values():
            apply = target.secret.name in fields_asked
            want = want_of(service, target, swarm, apply_fields=apply)
            if want:
                found.setdefault(service.id, []).append(want)
    return found


def want_of(
    service: Service, target: Target, swarm: SwarmView, *, apply_fields: bool = False
) -> Want | None:
    """Return what a service should have of a secret; None where it has nothing to do with it.

    Args:
        apply_fields: Whether changed file fields alone are a reason to move a reference.
    """
    secret = target.secret
    listed = any(mapping.service == service.name for mapping in secret.services)
    own = {mirror.id: mirror for mirror in (*target.mirrors, *target.others)}
    references = tuple(ref for ref in service.references if ref.secret_id in own)
    if not listed and not references:
        return None

    held = min((own[ref.secret_id] for ref in references), key=lambda m: m.order, default=None)
    files = files_of(service, secret, frozenset(own), swarm)
    found = _destination(service, target, held, references)
    if isinstance(found, Want):
        if found.back:
            return found
        ends = _ends(files, secret, None, swarm) if target.create else ""
        return replace(found, hold=found.hold or files.hold, ends=ends)
    mirror, alone = found
    want = Want(
        target=target,
        mirror=mirror,
        held=held,
        references=files.references,
        hold=files.hold,
        changes=files.changes,
    )
    want = replace(want, shared=files.shared if files.changes or files.adds else "")
    there = bool(references) and all(ref.secret_id == mirror.id for ref in references)
    if files.hold or (there and not (files.changes and apply_fields)):
        return want
    swap = files.swap(secret.name, mirror.id, mirror.docker_name)
    return replace(want, swap=swap, alone=alone, ends=_ends(files, secret, mirror, swarm))


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


def _destination(
    service: Service, target: Target, held: Mirror | None, references: tuple[Reference, ...]
) -> tuple[Mirror, bool] | Want:
    """Return the version that a service should move to, and whether alone; a Want if it stays."""
    block = held.block_for(service.id) if held and held in target.mirrors else None
    if held and block and block.back and held.open_record(service.id):
        older = (m for m in target.mirrors if m.order < held.order)
        usable = (m for m in older if m.id not in target.ended and not m.aside_for(service.id))
        back = _back(service, target, next(usable, None), held, references, block.why)
        return (
            back
            if back.swap
            else Want(target=target, mirror=held, held=held, references=references)
        )
    mirror = target.for_service(service.id)
    mark = held.aside_for(service.id) if held and held in target.mirrors else None
    if held and mark:
        if mark.by == By.SUSPECT and mark.tried and held.open_record(service.id):
            return Want(
                target=target, mirror=held, held=held, references=references
            )  # it has its turn alone just now
        if mirror is None or mirror.order < held.order:
            mirror = mirror or _last_resort(service, target, held)
            return _back(service, target, mirror, held, references, mark.why)
    suspect = target.suspect_for(service.id)
    mirror = suspect or mirror
    if mirror is None:
        return Want(target=target, mirror=None, held=held, references=references)
    if held and mirror.order < held.order and held in target.mirrors:
        return Want(
            target=target, mirror=mirror, held=held, references=references
        )  # it is on a newer one than Vault's
    if held and held.outlived and mirror.made_before(held):
        return Want(
            target=target, mirror=mirror, held=held, references=references
        )  # what was written since failed on it
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
    before = record.before if record and not record.back else None
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


def _may_go_before(before: tuple[Mapping[str, Any], ...], mirror: Mirror, target: Target) -> bool:
    """Return whether a service goes to what it had, rather than to the newest that may be used.

    So it is where both are one, and where it had a version that Vault was restored to before: on
    that it was well, and what is older in Vault may be long revoked.
    """
    ids = {ref["SecretID"] for ref in before}
    had_one = bool(ids)  # else its reference was added, and is not taken away while one is usable
    return ids == {mirror.id} or (had_one and ids <= {other.id for other in target.others})


def _was_refused(before: tuple[Mapping[str, Any], ...], service: Service, target: Target) -> bool:
    """Return whether what a service had before is set aside for it, or by an operator.

    What failed elsewhere only (``on_failure: all``) it had, and may have again.
    """
    ids = {ref["SecretID"] for ref in before}
    for mirror in target.mirrors:
        own, everywhere = mirror.asides.get(service.id), mirror.asides.get("")
        operators = everywhere is not None and everywhere.by == By.OPERATOR
        if mirror.id in ids and ((own and own.by != By.SERVICE) or operators):
            return True
    return False
