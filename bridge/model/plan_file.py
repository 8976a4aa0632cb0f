"""Plan files: what somebody has reviewed, so that exactly that is carried out later, or nothing.

A plan is known by its configuration and its changes: each with the id of what is changed, the
swarm's version index of each service, and the version in Vault with its ``created_time``. There is
no value in it. What becomes due later only by time, a removal or the end of a credential, is no
difference: it is left for another time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bridge.model.changes import Change, ChangeKind

LAYOUT = 1
"""Number of this file's layout; one of another number is refused."""

_LATER = frozenset((ChangeKind.REMOVE, ChangeKind.END))


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One change as the file keeps it.

    Attributes:
        name: Name of the service or of the Docker secret.
        id: Id of the service or of the Docker secret; empty for one to be created.
        index: The service's version index.
        version, created: Number of the version in Vault, and when Vault made it.
        moves: For a roll: name of the secret, and of the Docker secrets before and after.
        summary: One line that describes the change.
    """

    kind: ChangeKind
    name: str
    id: str = ""
    index: int = 0
    version: int | None = None
    created: str = ""
    moves: tuple[tuple[str, str, str], ...] = ()
    summary: str = ""

    @classmethod
    def of(cls, change: Change) -> Planned:
        """Return what is kept of a change."""
        return cls(
            kind=change.kind,
            name=change.name,
            id=change.id,
            index=change.index,
            version=change.version,
            created=change.created,
            moves=tuple((m.secret, m.before, m.after) for m in change.moves),
            summary=change.summary,
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.summary})" if self.summary else self.name


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """A plan that was written to a file.

    Attributes:
        instance: Name of the bridge.
        configuration: Digest of its configuration, see ``Desired.digest``.
        at: When it was made, RFC 3339.
    """

    instance: str
    configuration: str
    at: str
    changes: tuple[Planned, ...]

    @classmethod
    def of(cls, instance: str, configuration: str, at: str, changes: Iterable[Change]) -> PlanFile:
        """Return the plan with these changes."""
        planned = tuple(map(Planned.of, changes))
        return cls(instance=instance, configuration=configuration, at=at, changes=planned)

    @cached_property
    def rolls(self) -> Mapping[str, Planned]:
        """The rolls, by the service's id."""
        return {planned.id: planned for planned in self.changes if planned.kind == ChangeKind.ROLL}

    @cached_property
    def by_name(self) -> Mapping[tuple[ChangeKind, str], Planned]:
        """All changes, by what is changed."""
        return {(planned.kind, planned.name): planned for planned in self.changes}

    def differences(self, now: PlanFile) -> list[str]:
        """Return in which way what would be done now is not this plan; empty where it is."""
        if (self.instance, self.configuration) != (now.instance, now.configuration):
            return ["the configuration is not the one that it was made with"]
        return list(self._differing(now))

    def _differing(self, now: PlanFile) -> Iterator[str]:
        for key, planned in self.by_name.items():
            found = now.by_name.get(key)
            if found is None:
                yield f"no longer due: {planned}"
            else:
                yield from _changed(planned, found)
        for key, found in now.by_name.items():
            if key not in self.by_name and found.kind not in _LATER:
                yield f"due now and not in the plan: {found}"

    def write(self) -> str:
        """Return the file's content."""
        changes = [
            {
                "change": planned.kind,
                "name": planned.name,
                "id": planned.id,
                "index": planned.index,
                "version": planned.version,
                "created": planned.created,
                "moves": [list(move) for move in planned.moves],
                "summary": planned.summary,
            }
            for planned in self.changes
        ]
        raw = {
            "vault_bridge_plan": LAYOUT,
            "instance": self.instance,
            "configuration": self.configuration,
            "at": self.at,
            "changes": changes,
        }
        return json.dumps(raw, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, text: str) -> PlanFile:
        """Return the plan in a file. Raises ``ValueError`` where it is none."""
        try:
            raw = json.loads(text)
            if raw["vault_bridge_plan"] != LAYOUT:
                raise ValueError("of another version of vault-bridge")
            return cls(
                instance=str(raw["instance"]),
                configuration=str(raw["configuration"]),
                at=str(raw["at"]),
                changes=tuple(map(_read, raw["changes"])),
            )
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError):
            raise ValueError("no plan that `vault-bridge plan --out` wrote") from None


def _read(raw: Mapping[str, Any]) -> Planned:
    version = raw["version"]
    return Planned(
        kind=ChangeKind(raw["change"]),
        name=str(raw["name"]),
        id=str(raw["id"]),
        index=int(raw["index"]),
        version=None if version is None else int(version),
        created=str(raw["created"]),
        moves=tuple((str(a), str(b), str(c)) for a, b, c in raw["moves"]),
        summary=str(raw["summary"]),
    )


def _changed(planned: Planned, found: Planned) -> Iterator[str]:
    """Yield what is different about the same object."""
    if planned.id != found.id:
        yield f"{planned.name} was removed and created anew"
    elif planned.moves != found.moves:
        yield f"{planned.name}: planned {planned.summary}, due now {found.summary}"
    elif (planned.version, planned.created) != (found.version, found.created):
        yield f"{planned.name}: the version in Vault was written anew"
    elif planned.index != found.index:
        indices = f"version index {planned.index}, now {found.index}"
        yield f"the service {planned.name} was updated since ({indices})"
