"""Mirrors: Docker secrets that hold a Vault version, with what their labels keep about it.

That is which version it is, whether it is good, for which services it is set aside, and which rolls
to it were begun. No hash of the value is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType
from typing import Any
from weakref import WeakValueDictionary

from bridge.model.blocked import Blocked
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import Identity
from bridge.model.labels import (
    ASIDE,
    BLOCKED,
    GOOD,
    REMADE,
    ROLL,
    SHAPE,
    UNUSED,
    labels_by_service,
    origin_of,
    read_by_name,
)
from bridge.model.leased import Leased
from bridge.model.roll_record import RollRecord
from bridge.model.rotation import rotation_of
from bridge.model.set_aside import By, SetAside
from bridge.model.source import Source
from bridge.model.timestamps import instant, moment


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A Docker secret that a bridge made, and that holds one version of a secret.

    Attributes:
        id: Id of the Docker secret.
        docker_name: Name of the Docker secret: ``<secret>_vN``, with a suffix where that was taken.
        created: When the engine made it, seconds since the epoch.
        instance: Name of the bridge that made it.
        secret: Name of the secret in the configuration.
        good: When all services had converged and baked on it, RFC 3339; empty until then.
        unused: Since when no service and no task refers to it, while a newer version is good,
            RFC 3339; else empty.
        asides: Marks that set it aside, by service id; the empty id is for all services.
        records: Roll records, by the id of the service that was rolled.
        leased: The credential that it holds, where it is a generation of one.
        shape: What of the version it holds, see ``Content.shape``; empty where that is not known.
        remade: Which copy of its version it is: 0 for the first, 1 for one that an operator wanted
            made anew.
        blocks: Marks of blocked rolls, by service id.
        about: Ids of all services that its labels are about, damaged labels too.
        read_from: What it was read from, where it was.
    """

    id: str
    docker_name: str
    created: float
    instance: str
    secret: str
    identity: Identity
    good: str = ""
    unused: str = ""
    asides: Mapping[str, SetAside] = field(default_factory=dict)
    records: Mapping[str, RollRecord] = field(default_factory=dict)
    leased: Leased | None = None
    shape: str = ""
    remade: int = 0
    blocks: Mapping[str, Blocked] = field(default_factory=dict)
    about: frozenset[str] = frozenset()
    read_from: DockerSecret | None = field(default=None, repr=False, compare=False)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The sort key: the identity's, then which copy of the version it is."""
        return (*self.identity_order, self.remade)

    @cached_property
    def identity_order(self) -> tuple[int, int, int]:
        """The sort key of its version alone."""
        return self.identity.order

    @cached_property
    def rotation(self) -> str:
        """Name of the rotation to its version: see ``rotation_of``."""
        return rotation_of(self.instance, self.secret, self.identity)

    @property
    def lease_role(self) -> Source | None:
        """The role of its lease; None where it has none, or the lease is not one of that role."""
        source, leased = self.identity.source, self.leased
        return None if leased is None else source.lease_role(leased)

    @property
    def outlived(self) -> bool:
        """Whether Vault was restored from an older snapshot, and so does not have it any more."""
        mark = self.asides.get("")
        return mark is not None and mark.by == By.RESTORE

    @cached_property
    def events(self) -> frozenset[tuple[str, float]]:
        """Its id with each date about it from which seconds are counted, seconds since the epoch.

        They were written by the engine's clock, Vault's, or that of a bridge on another machine.
        """
        texts = [self.identity.created, self.good, *(mark.at for mark in self.asides.values())]
        texts += [block.at for block in self.blocks.values()]
        if self.leased:
            texts += [self.leased.retiring, *self.leased.vanished]
        dates = (self.created, *(moment(text) for text in texts if text))
        return frozenset((self.id, date) for date in dates)

    def made_before(self, other: Mirror) -> bool:
        """Return whether Vault made it before another mirror, whatever their numbers."""
        return instant(self.identity.created) < instant(other.identity.created)

    def rolled(self, service_id: str) -> bool:
        """Return whether a roll of the service to it has converged and baked."""
        record = self.records.get(service_id)
        return bool(record and record.done)

    def aside_for(self, service_id: str) -> SetAside | None:
        """Return the mark that sets it aside for a service: for all, or for that service alone."""
        if not self.asides:
            return None
        return self.asides.get("") or self.asides.get(service_id)

    def block_for(self, service_id: str) -> Blocked | None:
        """Return the mark of a blocked roll of a service, unless it is being tried again."""
        block = self.blocks.get(service_id)
        return block if block and not block.again else None

    def open_record(self, service_id: str) -> RollRecord | None:
        """Return the record of a service's roll that was begun and is not done."""
        record = self.records.get(service_id)
        return record if record and not record.done else None

    def without_gone(self, services: Collection[str]) -> Mirror:
        """Return the mirror without the marks and records of services that do not exist any more.

        Args:
            services: Ids of those that exist.
        """
        if all(service in services for service in self.about):
            return self
        records = {s: record for s, record in self.records.items() if s in services}
        asides = {s: mark for s, mark in self.asides.items() if not s or s in services}
        blocks = {s: block for s, block in self.blocks.items() if s in services}
        return replace(self, records=records, asides=asides, blocks=blocks)

    @classmethod
    def read(cls, secret: DockerSecret) -> Mirror | None:
        """Return the mirror that a Docker secret is; None where no bridge made it."""
        known = _SEEN.get(secret.id)
        if known is None or known.read_from != secret:
            known = _read(secret)
            if known is not None:
                _SEEN[secret.id] = known
        return known


_SEEN: WeakValueDictionary[str, Mirror] = WeakValueDictionary()
"""The latest mirror of each id that somebody still has: labels hardly ever change between looks.

One that is gone from the swarm is gone from here with the last view of it.
"""

_NONE: Mapping[str, Any] = MappingProxyType({})
"""Most have no marks and no records: all of those share this."""


by_order = attrgetter("order")
"""The sort key of mirrors: ``Mirror.order``."""


def _read(secret: DockerSecret) -> Mirror | None:
    labels = secret.labels
    origin = origin_of(labels)
    if origin is None:
        return None
    remade = labels.get(REMADE, "")
    about = frozenset(labels_by_service(labels))
    # Most have no mark and no record: their labels are not searched for each kind of those.
    marks = labels if about or ASIDE in labels else {}
    return Mirror(
        id=secret.id,
        docker_name=secret.name,
        created=secret.created,
        instance=origin.instance,
        secret=origin.secret,
        identity=origin.identity,
        good=labels.get(GOOD, ""),
        unused=labels.get(UNUSED, ""),
        asides={
            key.removeprefix(ASIDE).removeprefix("."): SetAside.read(value)
            for key, value in marks.items()
            if key == ASIDE or key.startswith(f"{ASIDE}.")
        }
        or _NONE,
        records=read_by_name(marks, ROLL, RollRecord.read) or _NONE,
        leased=Leased.read(labels),
        shape=labels.get(SHAPE, ""),
        remade=int(remade) if remade.isdecimal() else 0,
        blocks=read_by_name(marks, BLOCKED, Blocked.read) or _NONE,
        about=about,
        read_from=secret,
    )
