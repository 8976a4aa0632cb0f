"""Which secret, version, service and rotation is an action about? The log and the evidence ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from bridge.model.actions import (
    Action,
    Annotate,
    CreateSecret,
    MintGeneration,
    NoteState,
    RemoveSecret,
    RollService,
    TendGeneration,
    WakeUpdater,
)
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import labels_by_service
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.rotation import rotation_of
from bridge.model.spec import Swap
from bridge.model.swarm_view import SwarmView


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """What an action is about, for one secret and one service.

    Attributes:
        secret: Name in the configuration; empty where it is about none.
        service: Name of the service; empty where it is about none, or about all.
        version: The version that is made, rolled to, kept or removed; None where it is about none.
        former: For a roll: the version that the service leaves; None where it had none.
        rotation: Name of the rotation that it belongs to. A roll that goes back belongs to that of
            the version that it leaves. Empty where it belongs to none.
        docker_secret: Name of the Docker secret of ``version``.
    """

    secret: str = ""
    service: str = ""
    version: int | None = None
    former: int | None = None
    rotation: str = ""
    docker_secret: str = ""

    @property
    def fields(self) -> dict[str, object]:
        """What is known of it, as fields of a log line."""
        return {key: value for key, value in asdict(self).items() if value not in ("", None)}


def facts_of(action: Action, instance: str, view: SwarmView | None) -> tuple[Fact, ...]:
    """Return what an action is about: one fact for each secret that it concerns, one at least.

    Args:
        view: The swarm as it was when the action was decided on; None where it is not known.
    """
    mirrors = {} if view is None else view.mirror_by_id
    match action:
        case CreateSecret():
            return (_made(action, instance, action.identity),)
        case MintGeneration():
            identity = Identity(action.source, ONE_LIFE, action.version, ONE_LIFE)
            return (_made(action, instance, identity),)
        case TendGeneration() | RemoveSecret():
            return (_about(action, mirrors.get(action.secret_id)),)
        case Annotate():
            services = labels_by_service({**action.put, **dict.fromkeys(action.drop, "")})
            return (_about(action, mirrors.get(action.secret_id), _name(services, view)),)
        case RollService():
            back = action.reason == Reason.GOING_BACK
            service = action.service_name
            return tuple(_moved(swap, service, mirrors, back=back) for swap in action.swaps)
        case WakeUpdater():
            rolled = view.open_records.get(action.service_id, ()) if view else ()
            return tuple(_of(m, action.service_name) for m in rolled) or (
                Fact(service=action.service_name),
            )
        case NoteState():
            return (Fact(secret=action.secret),)


def _made(action: CreateSecret | MintGeneration, instance: str, identity: Identity) -> Fact:
    return Fact(
        secret=action.secret,
        version=identity.version,
        rotation=rotation_of(instance, action.secret, identity),
        docker_secret=action.docker_name,
    )


def _about(
    action: TendGeneration | RemoveSecret | Annotate, mirror: Mirror | None, service: str = ""
) -> Fact:
    if mirror is None:
        return Fact(secret=action.secret, service=service, docker_secret=action.docker_name)
    return _of(mirror, service)


def _of(mirror: Mirror, service: str) -> Fact:
    return Fact(
        secret=mirror.secret,
        service=service,
        version=mirror.identity.version,
        rotation=mirror.rotation,
        docker_secret=mirror.docker_name,
    )


def _name(services: Iterable[str], view: SwarmView | None) -> str:
    """Return the name of the service that a note is about; empty where it is not about one."""
    ids = list(services)
    service = view.service_by_id.get(ids[0]) if view and len(ids) == 1 else None
    return service.name if service else ""


def _moved(swap: Swap, service: str, mirrors: Mapping[str, Mirror], *, back: bool) -> Fact:
    to = mirrors.get(swap.to_id)
    left = max((m for key in swap.replaces if (m := mirrors.get(key))), key=_order, default=None)
    of = left if back and left else to
    return Fact(
        secret=swap.secret,
        service=service,
        version=to.identity.version if to else None,
        former=left.identity.version if left else None,
        rotation=of.rotation if of else "",
        docker_secret=swap.to_name,
    )


def _order(mirror: Mirror) -> tuple[int, ...]:
    return mirror.order
