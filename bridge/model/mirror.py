"""Docker secrets that mirror a Vault version, and what their labels say.

The labels are the bridge's memory in the swarm: which version it is, whether it is good, for whom
it is set aside, and which rolls to it were begun.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

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
    origin_of,
    read_by_name,
)
from bridge.model.leased import Leased
from bridge.model.roll_record import RollRecord
from bridge.model.set_aside import By, SetAside
from bridge.model.source import Source
from bridge.model.timestamps import instant, moment


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A Docker secret that holds a Vault version: one that a bridge made.

    Attributes:
        secret: Name of the secret in the configuration.
        docker_name: ``<secret>_vN``, perhaps with a clash suffix.
        good: When it had converged and baked everywhere; empty until then.
        unused: Since when no service and no task has it, where something newer is good; else empty.
        asides: Why it is set aside, by service id; the empty one is for the whole name.
        records: Roll records by service id.
        leased: The lease behind it, where it is a generation of a leased credential.
        shape: Which content it was made with, see ``Content.shape``; empty where that is not known.
        remade: How often its version was made anew before it, this time included.
        blocks: Why a roll to it was blocked, by service id.
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

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The sort key: of one version made anew the latest is the newest."""
        return (*self.identity.order, self.remade)

    @property
    def lease_role(self) -> Source | None:
        """Whose lease is behind it; None where there is none, or it is not one of that role."""
        source, leased = self.identity.source, self.leased
        return None if leased is None else source.lease_role(leased)

    @property
    def outlived(self) -> bool:
        """Whether Vault no longer has it, since it was restored to before it."""
        mark = self.asides.get("")
        return mark is not None and mark.by == By.RESTORE

    @cached_property
    def dates(self) -> frozenset[float]:
        """All its times from which seconds are counted: the engine's, Vault's and those of labels.

        Our own clock may have been another one when it wrote them.
        """
        texts = [self.identity.created, self.good, *(mark.at for mark in self.asides.values())]
        texts += [block.at for block in self.blocks.values()]
        if self.leased:
            texts += [self.leased.retiring, *self.leased.vanished]
        return frozenset((self.created, *(moment(text) for text in texts if text)))

    def made_before(self, other: Mirror) -> bool:
        """Tell whether Vault made it before another, whatever their numbers."""
        return instant(self.identity.created) < instant(other.identity.created)

    def rolled(self, service_id: str) -> bool:
        """Tell whether a roll of the service to it was begun and done."""
        record = self.records.get(service_id)
        return bool(record and record.done)

    def aside_for(self, service_id: str) -> SetAside | None:
        """Return the mark that sets it aside for a service, its own or the whole name's."""
        return self.asides.get("") or self.asides.get(service_id)

    def block_for(self, service_id: str) -> Blocked | None:
        """Return why the roll of a service to it is blocked, unless it is being tried again."""
        block = self.blocks.get(service_id)
        return block if block and not block.again else None

    def open_record(self, service_id: str) -> RollRecord | None:
        """Return the record of a roll that was begun and is not done."""
        record = self.records.get(service_id)
        return record if record and not record.done else None

    def without_gone(self, services: Collection[str]) -> Mirror:
        """Return it without the marks and records of other services than these, by their ids."""
        named = self.asides.keys() | self.records.keys() | self.blocks.keys()
        if all(not service or service in services for service in named):
            return self
        records = {s: record for s, record in self.records.items() if s in services}
        asides = {s: mark for s, mark in self.asides.items() if not s or s in services}
        blocks = {s: block for s, block in self.blocks.items() if s in services}
        return replace(self, records=records, asides=asides, blocks=blocks)

    @classmethod
    def read(cls, secret: DockerSecret) -> Mirror | None:
        """Read the labels; None where the secret is not a bridge's."""
        return _read(secret.id, secret.name, secret.created, tuple(secret.labels.items()))


@lru_cache(maxsize=16_384)
def _read(
    secret_id: str, docker_name: str, created: float, items: tuple[tuple[str, str], ...]
) -> Mirror | None:
    """Read a Docker secret's labels, which hardly ever change between two looks."""
    labels = dict(items)
    origin = origin_of(labels)
    if origin is None:
        return None
    remade = labels.get(REMADE, "")
    return Mirror(
        id=secret_id,
        docker_name=docker_name,
        created=created,
        instance=origin.instance,
        secret=origin.secret,
        identity=origin.identity,
        good=labels.get(GOOD, ""),
        unused=labels.get(UNUSED, ""),
        asides={
            key.removeprefix(ASIDE).removeprefix("."): SetAside.read(value)
            for key, value in items
            if key == ASIDE or key.startswith(f"{ASIDE}.")
        },
        records=read_by_name(labels, ROLL, RollRecord.read),
        leased=Leased.read(labels),
        shape=labels.get(SHAPE, ""),
        remade=int(remade) if remade.isdecimal() else 0,
        blocks=read_by_name(labels, BLOCKED, Blocked.read),
    )
