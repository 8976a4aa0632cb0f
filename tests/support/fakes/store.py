"""What the fakes have in common: the time, and the objects that a swarm's managers keep."""

from __future__ import annotations

import itertools
import marshal
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from bridge.errors import NotFound

Json = dict[str, Any]
_J = TypeVar("_J")

_NO_SHARED_PARTS = 2
"""The format's last version in which what is in two places is written twice."""


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    @property
    def text(self) -> str:
        """The same as the servers write it."""
        return datetime.fromtimestamp(self.now, UTC).isoformat().replace("+00:00", "Z")


def copied(value: _J) -> _J:
    """Copy what JSON can hold, all the way down; ``deepcopy`` takes many times as long."""
    return cast("_J", marshal.loads(frozen(value)))


def frozen(value: Any) -> bytes:
    """Write down what JSON can hold; equal bytes mean equal values."""
    return marshal.dumps(value, _NO_SHARED_PARTS)


class Store:
    """Services, Docker secrets and configs by id; each write of one gives it a new index."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.services: dict[str, Json] = {}
        self.secrets: dict[str, Json] = {}
        self.configs: dict[str, Json] = {}
        self.data: dict[str, bytes] = {}
        self._ids = itertools.count(1)
        self._index = itertools.count(10)

    def new_id(self, kind: str) -> str:
        """Return an id that nothing else has."""
        return f"{kind}{next(self._ids)}"

    def new(self, where: dict[str, Json], kind: str, spec: Json) -> str:
        """Keep an object; returns its id."""
        made = self.new_id(kind)
        where[made] = {"ID": made, "Version": {}, "CreatedAt": self.clock.text, "Spec": spec}
        self.touch(where[made])
        return made

    def touch(self, found: Json) -> None:
        """Give an object a new index."""
        found["Version"]["Index"] = next(self._index)
        found["UpdatedAt"] = self.clock.text

    @staticmethod
    def one(where: dict[str, Json], found_id: str) -> Json:
        """Return an object. Raises ``NotFound``."""
        if found_id not in where:
            raise NotFound(f"{found_id} not found")
        return where[found_id]


def references(spec: Json) -> list[Json]:
    """Return a service spec's references to Docker secrets."""
    return secrets_of(spec["TaskTemplate"])


def secrets_of(template: Json) -> list[Json]:
    """Return the same of a task's spec."""
    return template["ContainerSpec"].get("Secrets") or []


def replicas_of(service: Json) -> int:
    """Return how many tasks a service should have."""
    return int(service["Spec"]["Mode"]["Replicated"]["Replicas"])
