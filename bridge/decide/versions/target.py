"""Which version should a secret have?

The target is the newest identity that is not set aside. Vault says which one is current; the swarm
says which ones are mirrored. Where Vault cannot be asked, or what it says cannot be used, the
newest mirrored version stays the target: what went missing in Vault rolls nothing (I9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bridge.model.actions import CreateSecret, MintGeneration
from bridge.model.conditions import Hold
from bridge.model.desired import DesiredSecret
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import Identity
from bridge.model.labels import REMADE, SHAPE, labels_of
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.names import names_of
from bridge.model.near import nearest
from bridge.model.reasons import Reason
from bridge.model.set_aside import By
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import instant, timestamp
from bridge.model.vault_view import Unreadable
from bridge.model.verdicts import Verdict
from bridge.model.wishes import Do
from bridge.model.world import World


@dataclass(frozen=True, kw_only=True)
class Target:
    """The version that one secret should have, and what is known of its versions.

    Attributes:
        mirrors: Its mirrored versions that come from the configured path, newest first.
        others: Its mirrored versions from elsewhere: the path in the configuration changed, or
            Vault was restored to before them.
        vault_version: Vault's current version number, or that of the newest generation; None where
            Vault gave no answer.
        current: Vault's current version; None where there is none that can be read.
        destroyed: Ids of the mirrors whose version is destroyed in Vault, or whose lease is over.
        outlived: Mirrors that Vault does not have any more since it was restored from an older
            snapshot, and that have no mark of it yet.
        ended: Ids of the generations that no service is pointed at any more.
        unproven: Why no service is pointed at a generation yet, by its id.
        urgent: Why services must leave a generation now, by its id.
        create: The action that makes the next mirror; None where nothing is to be made.
        hold: Why Vault's current version is not the target.
        unread: Whether there may be versions that are not among its mirrors, so that no service is
            moved.
        not_remade: Why Vault's current version is not made anew, although an operator wants that.
    """

    secret: DesiredSecret
    mirrors: tuple[Mirror, ...]
    others: tuple[Mirror, ...]
    vault_version: int | None = None
    current: Identity | None = None
    destroyed: frozenset[str] = frozenset()
    outlived: tuple[Mirror, ...] = ()
    ended: frozenset[str] = frozenset()
    unproven: Mapping[str, Hold] = field(default_factory=dict)
    urgent: Mapping[str, str] = field(default_factory=dict)
    create: CreateSecret | MintGeneration | None = None
    hold: Hold | None = None
    unread: bool = False
    not_remade: Hold | None = None

    @cached_property
    def own(self) -> tuple[Mirror, ...]:
        """All its mirrored versions, those from elsewhere last."""
        return (*self.mirrors, *self.others)

    @property
    def usable(self) -> Mirror | None:
        """The newest mirrored version that is not set aside for all services; None if none is."""
        for mirror in self.mirrors:
            if "" not in mirror.asides and mirror.id not in self.ended:
                return mirror
        return None

    def for_service(self, service_id: str) -> Mirror | None:
        """Return the newest mirrored version that a service may be moved to; None if none is."""
        for mirror in self.mirrors:
            if not mirror.aside_for(service_id) and mirror.id not in self.ended:
                return mirror
        return None

    def suspect_for(self, service_id: str) -> Mirror | None:
        """Return the newest version if it is a suspect that has yet to be tried alone on a service.

        Also one whose trial was written down and never begun.
        """
        newest = self.mirrors[0] if self.mirrors else None
        mark = newest.aside_for(service_id) if newest else None
        if newest is None or mark is None or mark.by != By.SUSPECT or newest.id in self.ended:
            return None
        return newest if not mark.tried or newest.open_record(service_id) else None


def find_target(
    secret: DesiredSecret, instance: str, world: World, memory: Memory, now: float
) -> Target:
    """Return the version that a secret should have, and what must be made for it."""
    mirrors: list[Mirror] = []
    others: list[Mirror] = []
    for mirror in world.swarm.mirrors_of(instance, secret.name):
        here = mirror.identity.source == secret.source and not mirror.outlived
        (mirrors if here else others).append(mirror)
    document = world.vault.paths[secret.source]
    number: int | None = None
    current: Identity | tuple[Reason, str] | None = None
    if not isinstance(document, Unreadable):
        number, current = secret.source.current(document, now)
    target = Target(
        secret=secret,
        mirrors=tuple(mirrors),
        others=tuple(others),
        vault_version=number,
        current=current if isinstance(current, Identity) else None,
        destroyed=frozenset(
            mirror.id for mirror in mirrors if secret.source.is_destroyed(document, mirror.identity)
        ),
    )
    if isinstance(document, Unreadable):
        again = world.vault.again if document.away else None
        message = f"{document.message}; next look at {timestamp(again)}" if again else ""
        hold = _hold(secret, document.reason, message or document.message)
        return replace(target, hold=replace(hold, waits=document.reason == Reason.LOOKING_AGAIN))
    if current is None:
        return target
    if not isinstance(current, Identity):
        return _with_hold(target, *current)
    return _with_current(target, current, instance, world.swarm, memory)


def _with_current(
    target: Target, current: Identity, instance: str, swarm: SwarmView, memory: Memory
) -> Target:
    """Return a target that leads to Vault's current version of its path.

    1. Vault's version is older than what is mirrored: a standby that lags, or a snapshot restored.
       It is held until Vault is written to, which tells the two apart.
    2. It is mirrored, and not to be made anew: nothing is to be made.
    3. Otherwise it is to be mirrored, or there is a reason why that cannot be.
    """
    secret = target.secret
    order = current.order
    later = tuple(mirror for mirror in target.mirrors if order < mirror.identity_order)
    known = tuple(mirror for mirror in target.mirrors if mirror.identity == current)
    if later and not _came_after(current, known, later):
        return _with_hold(
            target,
            Reason.VERSION_WENT_BACK,
            f"Vault's current version of {secret.source} is {current.version}, older than"
            f" {target.mirrors[0].docker_name}; a snapshot restored, or a standby that lags",
        )
    if known and (later or not _is_to_be_remade(secret, known, swarm)):
        return replace(target, outlived=later) if later else target
    found = _creation(target, current, known, instance, swarm, memory)
    if isinstance(found, CreateSecret):
        return replace(target, create=found)
    return replace(target, not_remade=found) if known else replace(target, hold=found)


def _came_after(current: Identity, known: tuple[Mirror, ...], later: tuple[Mirror, ...]) -> bool:
    """Return whether Vault's current version was written after mirrored ones of higher numbers.

    1. It was: Vault was restored from a snapshot and written to since.
    2. It was not: a standby that lags still shows what was written, and mirrored, before them.
    """
    written = all(instant(m.identity.created) < instant(current.created) for m in later)
    return written and all(m.created < one.created for m in later for one in known)


def missing_service(name: str, swarm: SwarmView) -> str:
    """Return the message that a service does not exist, with the one that may be meant."""
    close = nearest(name, swarm.service_by_name)
    hint = f"did you mean {close}?" if close else "deploy it, or take it out here"
    return f"there is no service {name} in the swarm: {hint}"


def _is_to_be_remade(secret: DesiredSecret, known: Sequence[Mirror], swarm: SwarmView) -> bool:
    """Return whether an operator wants a version made anew, and it has another content so far.

    A copy that was made with this content and failed is not made once more.
    """
    wish = swarm.wishes.get(secret.name)
    if wish is None or wish.refused or wish.do != Do.RESYNC:
        return False
    shape = secret.content.shape
    if wish.shape != shape:
        return False
    usable = next((mirror for mirror in known if "" not in mirror.asides), None)
    return not any(m.shape == shape and (m == usable or m.asides) for m in known)


def _creation(
    target: Target,
    current: Identity,
    known: Sequence[Mirror],
    instance: str,
    swarm: SwarmView,
    memory: Memory,
) -> CreateSecret | Hold:
    """Return the action that mirrors a version, or the hold that says why it cannot be mirrored.

    Args:
        known: The mirrors that the version has already, newest first.
    """
    secret = target.secret
    verdict = refusal(secret, current, swarm, memory)
    if verdict:
        message = f"version {current.version} of {secret.source}: {verdict.message}"
        return _hold(secret, verdict.reason, message)
    remade = known[0].remade + 1 if known else 0
    labels = {**labels_of(instance, secret.name, current), SHAPE: secret.content.shape}
    reason, why = Reason.NEW_VERSION, f"version {current.version} of {secret.source} is new"
    former: Mirror | None = None
    if known:
        labels[REMADE] = str(remade)
        reason = Reason.CONTENT_CHANGED
        why = f"an operator wants version {current.version} made anew, as the configuration is now"
        usable = target.usable
        former = usable if usable in known else known[0]
        former = _with_same_driver(former, target, swarm) if former else None
    holder: DockerSecret | None = None
    for candidate in names_of(secret.name, current, remade):
        holder = swarm.secret_by_lower_name.get(candidate.lower())
        if holder is None:
            return CreateSecret(
                secret=secret.name,
                identity=current,
                content=secret.content,
                docker_name=candidate,
                labels=labels,
                reason=reason,
                why=why,
                former=(former.id, former.docker_name) if former else None,
            )
        mirror = swarm.mirror_by_id.get(holder.id)
        if mirror is None or (mirror.instance, mirror.secret) != (instance, secret.name):
            break
        # Ours, of another life of the path or from a former path: the plain name is taken (I12).
    return _hold(
        secret,
        Reason.NOT_OWNED,
        f"a secret {holder.name} exists which this bridge did not make"
        if holder
        else f"the names for version {current.version} are taken",
    )


def _with_same_driver(mirror: Mirror, target: Target, swarm: SwarmView) -> Mirror | None:
    """Return a mirror that can be used instead of a new one if its bytes turn out to be the same.

    None where it has another template driver: then the engine makes another file of them.
    """
    wanted = target.secret.content.template_driver
    found = swarm.secret_by_id.get(mirror.id)
    return mirror if found and found.template_driver == wanted else None


def refusal(
    secret: DesiredSecret, identity: Identity, swarm: SwarmView, memory: Memory
) -> Verdict | None:
    """Return the verdict on this content of this version, from memory or the state config."""
    for verdict in (memory.verdicts.get(secret.name), swarm.verdicts.get(secret.name)):
        if verdict and (verdict.identity, verdict.shape) == (identity, secret.content.shape):
            return verdict
    return None


def _hold(secret: DesiredSecret, reason: Reason, message: str) -> Hold:
    return Hold(secret=secret.name, reason=reason, message=message)


def _with_hold(target: Target, reason: Reason, message: str) -> Target:
    return replace(target, hold=_hold(target.secret, reason, message))
