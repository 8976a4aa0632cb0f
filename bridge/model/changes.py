"""Changes: what a plan comes to for the people who read it, over all the cycles that it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.model.conditions import Condition, Hold, ServiceCondition
from bridge.model.reasons import Reason


class ChangeKind(StrEnum):
    """What is changed, as the summary counts it."""

    CREATE = "create"
    ROLL = "roll"
    REMOVE = "remove"
    END = "end"


@dataclass(frozen=True, slots=True)
class Move:
    """The move of a service from one Docker secret to another.

    Attributes:
        secret: Name in the configuration.
        before: Name of the Docker secret that it leaves; empty where it has none yet.
        after: Name of the Docker secret that it gets; empty where it goes back to none.
        summary: Both in words, with the file fields that change.
    """

    secret: str
    before: str
    after: str
    summary: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change that people care for; marks and renewals are none.

    Attributes:
        docker_secret: Name of the Docker secret that is created, removed, or of which the
            credential is ended; empty for a roll.
        id: Id of the service that is rolled, or of the Docker secret; empty for one to be created.
        index: The swarm's version index of the service that is rolled; else 0.
        service: Name of the service that is rolled; else empty.
        stack: Stack that deployed the service; empty where none did.
        secrets: Names in the configuration.
        summary: One line that describes it, without the name.
        version: Number of the version or the generation that is created; else None.
        created: When Vault made that version, as Vault wrote it; empty for a generation.
        moves: For a roll: the secrets that move.
        now: Whether the next cycle does it; else it follows from what that does, or has its turn
            later.
        back: Whether a service goes back to what it had.
        verified: Whether what is created is known to have the content that is asked for. False for
            a version of KV, of which no value is read before it is mirrored.
    """

    kind: ChangeKind
    summary: str
    reason: Reason
    why: str
    secrets: tuple[str, ...]
    docker_secret: str = ""
    id: str = ""
    index: int = 0
    service: str = ""
    stack: str = ""
    version: int | None = None
    created: str = ""
    moves: tuple[Move, ...] = ()
    now: bool = True
    back: bool = False
    verified: bool = True

    @property
    def name(self) -> str:
        """Name of what is changed in the swarm."""
        return self.service or self.docker_secret


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What a plan comes to: each change until nothing is left to do, as far as can be foreseen.

    Attributes:
        changes: In the order in which they are begun.
        holds: What is wanted and not done until somebody or something else acts.
        under_way: Services that are being rolled, by the name of the secret.
        failed: Services on which a version has failed, or that are unhealthy, likewise. Nothing is
            tried again by itself.
        waiting: Secrets that wait for something which is no roll, as a second look at Vault.
        notices: Facts worth knowing that nobody has to act on.
        conditions: The state of each secret now.
    """

    changes: tuple[Change, ...]
    holds: tuple[Hold, ...]
    under_way: tuple[tuple[str, ServiceCondition], ...]
    failed: tuple[tuple[str, ServiceCondition], ...] = ()
    waiting: tuple[Condition, ...]
    notices: tuple[Hold, ...]
    conditions: tuple[Condition, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many changes there are of each kind, and what else the summary counts."""
        kinds = Counter(change.kind.value for change in self.changes)
        return {
            **{kind.value: kinds[kind.value] for kind in ChangeKind},
            "under_way": len(self.under_way) + len(self.waiting),
            "held": len(self.holds),
            "failed": len(self.failed),
            "unverified": sum(not change.verified for change in self.changes),
        }
