"""Docker secrets that mirror a Vault version, and what their labels say.

The labels are the bridge's memory in the swarm: which version it is, whether it is good, for whom
it is set aside, and which rolls to it were begun.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

from bridge.model.blocked import Blocked
from bridge.model.desired import DatabaseRole
from bridge.model.identity import Identity
from bridge.model.labels import (
    ASIDE,
    BLOCKED,
    GOOD,
    PREFIX,
    REMADE,
    ROLL,
    SHAPE,
    UNUSED,
    origin_of,
    read_by_name,
    read_source,
    source_label,
)
from bridge.model.leased import Leased, lease_role
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant, moment


@dataclass(frozen=True, kw_only=True, slots=True)
class RollRecord:
    """What was written down before a service was rolled, on the Docker secret it was rolled to.

    Attributes:
        before: The engine's own reference objects that were replaced; empty where one was added,
            and of a way back.
        index: The service's version index that the update was sent with.
        at: When it was written, RFC 3339.
        done: When the service had converged and baked; empty until then.
        frame: Fingerprint of all of the TaskTemplate but its secrets, as it was then.
        ill: Whether the service had less than its full number of tasks then.
        started: When the update before it began, by the engine's clock; 0 where there was none. One
            that began later may be ours, an earlier one is not.
        back: Whether it was a way back to what the service had: that it had nothing before is not
            what an empty ``before`` means then.
    """

    before: tuple[Mapping[str, Any], ...]
    index: int
    at: str
    done: str = ""
    frame: str = ""
    ill: bool = False
    started: float = 0.0
    back: bool = False

    @property
    def before_ids(self) -> frozenset[str]:
        """Ids of the secrets that going back would need; none once the roll is done."""
        return frozenset() if self.done else frozenset(ref["SecretID"] for ref in self.before)

    def write(self) -> str:
        """Write the label's value."""
        if self.done:
            return json.dumps({"at": self.at, "done": self.done})
        raw = {
            "before": list(self.before),
            "index": self.index,
            "at": self.at,
            "frame": self.frame,
            "started": self.started,
        }
        flags = {"ill": self.ill, "back": self.back}
        return json.dumps(raw | {name: True for name, is_so in flags.items() if is_so})

    @classmethod
    def read(cls, text: str) -> RollRecord | None:
        """Read the label's value; None where somebody has damaged it."""
        try:
            raw = json.loads(text)
            before = tuple(dict(ref) for ref in raw.get("before", ()))
            record = cls(
                before=before,
                index=int(raw.get("index", 0)),
                at=str(raw["at"]),
                done=str(raw.get("done", "")),
                frame=str(raw.get("frame", "")),
                ill=bool(raw.get("ill")),
                started=float(raw.get("started", 0.0)),
                back=bool(raw.get("back")),
            )
            _ = record.before_ids
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return record


class By(StrEnum):
    """Who or what set a version aside."""

    FAILURE = "failure"  # a service failed on it, and nothing else was to blame
    SUSPECT = "suspect"  # it moved together with another one, and the roll failed
    SERVICE = "service"  # the service was ill before, or is so on the former version too
    OPERATOR = "operator"  # somebody's word
    RESTORE = "restore"  # Vault was restored to before it


@dataclass(frozen=True, slots=True)
class SetAside:
    """A mark that a version is not to be used.

    Attributes:
        at: When, RFC 3339.
        why: In words.
        tried: Of a suspect: whether it has had its turn alone.
    """

    by: By
    at: str
    why: str
    tried: bool = False

    def write(self) -> str:
        """Write the label's value."""
        raw = {"by": self.by, "at": self.at, "why": self.why}
        return json.dumps({**raw, "tried": True} if self.tried else raw)

    @classmethod
    def read(cls, text: str) -> SetAside:
        """Read the label's value; a damaged one sets aside all the same, as by somebody's word."""
        try:
            raw = json.loads(text)
            by, at, why = By(raw["by"]), str(raw["at"]), str(raw["why"])
            return cls(by, at, why, bool(raw.get("tried")))
        except (ValueError, KeyError, TypeError):
            return cls(By.OPERATOR, "", "its label `aside` cannot be read")


def aside_label(service_id: str = "") -> str:
    """Name the label of a mark for one service, or for the whole name."""
    return f"{ASIDE}.{service_id}" if service_id else ASIDE


def labels_by_service(labels: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the marks, blocks and roll records of single services, by the service's id.

    Also those that somebody has damaged.
    """
    found: dict[str, frozenset[str]] = {}
    for prefix in (f"{ASIDE}.", ROLL, BLOCKED):
        for label in labels:
            if label.startswith(prefix):
                service = label.removeprefix(prefix)
                found[service] = found.get(service, frozenset()) | {label}
    return found


@dataclass(frozen=True, slots=True)
class DockerSecret:
    """One Docker secret, ours or not.

    Attributes:
        created: Seconds since the epoch at which the engine made it.
        template_driver: With what the engine expands it for each task; empty: not at all.
    """

    id: str
    name: str
    created: float
    labels: Mapping[str, str] = field(default_factory=dict)
    template_driver: str = ""


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
    def lease_role(self) -> DatabaseRole | None:
        """Whose lease is behind it; None where there is none, or it is not one of that role."""
        source, leased = self.identity.source, self.leased
        return None if leased is None else lease_role(source, leased)

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """Content of one identity that was refused, so that its value is not read again.

    Attributes:
        shape: What was asked for (format and field); another one deserves another look.
    """

    identity: Identity
    shape: str
    reason: Reason
    message: str

    def write(self) -> str:
        """Write the label's value."""
        return json.dumps(
            {
                "version": self.identity.version,
                "created": self.identity.created,
                "path_created": self.identity.path_created,
                "source": source_label(self.identity.source),
                "shape": self.shape,
                "reason": self.reason,
                "message": self.message,
            },
            ensure_ascii=False,
        )

    @classmethod
    def read(cls, text: str) -> Verdict | None:
        """Read the label's value; None where somebody has damaged it."""
        try:
            raw = json.loads(text)
            source = read_source(raw["source"])
            identity = Identity(source, raw["path_created"], int(raw["version"]), raw["created"])
            return cls(identity, raw["shape"], Reason(raw["reason"]), raw["message"])
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a server refuses for a secret, kept in the swarm for those who did not see it.

    Attributes:
        at: When it was first so, RFC 3339.
        services: Names of the services whose update is refused; empty for the whole secret.
    """

    reason: Reason
    message: str
    at: str
    services: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is wrong, and since when."""
        return f"{self.message} (since {self.at})"

    def write(self) -> str:
        """Write the label's value."""
        raw: dict[str, object] = {"reason": self.reason, "message": self.message, "at": self.at}
        if self.services:
            raw["services"] = self.services
        return json.dumps(raw, ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Trouble | None:
        """Read the label's value; None where somebody has damaged it."""
        try:
            raw = json.loads(text)
            services = tuple(str(name) for name in raw.get("services", ()))
            message, at = str(raw["message"]), str(raw["at"])
            return cls(Reason(raw["reason"]), message, at, services)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def state_config_name(instance: str) -> str:
    """Name the Docker config that keeps an instance's wishes and verdicts."""
    return f"{PREFIX}{instance}.state"
