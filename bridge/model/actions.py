"""What a cycle does: actions on Vault and the swarm, in chains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.model.desired import Content
from bridge.model.identity import Identity
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.spec import Swap


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateSecret:
    """Read one version from Vault and make the Docker secret that mirrors it.

    Attributes:
        secret: Name in the configuration.
        former: Id and name of the Docker secret that mirrors the same version and may have the same
            bytes; nothing is made then. None where there is none.
    """

    secret: str
    identity: Identity
    content: Content
    docker_name: str
    labels: Mapping[str, str]
    reason: Reason
    why: str
    former: tuple[str, str] | None = None

    @property
    def summary(self) -> str:
        """Say in words what is done."""
        return f"create secret {self.docker_name} from version {self.identity.version} in Vault"


@dataclass(frozen=True, kw_only=True, slots=True)
class MintGeneration:
    """Have Vault make a credential, and make the Docker secret that holds it.

    Attributes:
        secret: Name in the configuration.
        role: Of a static source: the role whose password it is; else empty.
        rotate: Of a static source: whether Vault is to rotate the role first.
        version: Number of the generation.
        labels: Besides those of its identity and its lease, which are known once it is made.
    """

    secret: str
    source: Source
    version: int
    content: Content
    docker_name: str
    labels: Mapping[str, str]
    reason: Reason
    why: str
    role: str = ""
    rotate: bool = False

    @property
    def summary(self) -> str:
        """Say in words what is done."""
        what = f"a new credential of {self.source}"
        if self.role:
            what = f"{'a new' if self.rotate else 'the'} password of the static role {self.role}"
        return f"create secret {self.docker_name} from {what}"


class Tend(StrEnum):
    """What is done to a generation's lease or to its custody."""

    MAKE_PERMANENT = "make the custody permanent"
    RENEW_CUSTODY = "renew the custody"
    RENEW_LEASE = "renew the lease"
    SHORTEN = "shorten the lease"
    REVOKE = "revoke the lease"
    RETIRE = "mark the end"
    RELEASE = "revoke the custody"
    ROTATE = "rotate the static role"


@dataclass(frozen=True, kw_only=True, slots=True)
class TendGeneration:
    """Renew or end a generation. What must not be known of it is read again from its labels.

    Attributes:
        grace: Of ``SHORTEN``: seconds that are left.
        patience: Of a renewal: longest pause in seconds before it is tried again.
        absent: Ids of tasks on nodes that are down, which no longer count as users.
        even_used: Of ``REVOKE``: whether it ends though something uses it (``--revoke-first``).
        at: Of ``RETIRE``: the time that is written down, seconds since the epoch.
    """

    secret: str
    secret_id: str
    docker_name: str
    step: Tend
    reason: Reason
    why: str
    grace: float = 0.0
    patience: float = 0.0
    absent: frozenset[str] = frozenset()
    even_used: bool = False
    at: float = 0.0

    @property
    def summary(self) -> str:
        """Say in words what is done."""
        return f"{self.step} of {self.docker_name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotate:
    """Write labels of a Docker secret; all others stay.

    Attributes:
        put: Labels to set.
        drop: Labels to remove.
        gone: Ids of services that are to be missing still when it is done.
    """

    secret: str
    secret_id: str
    docker_name: str
    reason: Reason
    why: str
    put: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    @property
    def summary(self) -> str:
        """Say in words what is done."""
        return f"note on secret {self.docker_name}: {self.why}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RollService:
    """Point a service to other versions: one update for all its changed references.

    Attributes:
        template: Fingerprint of the TaskTemplate that the decision was made on; any other means:
            look again. Other people's labels and scaling change the version index and not this.
    """

    service_id: str
    service_name: str
    template: str
    swaps: tuple[Swap, ...]
    reason: Reason
    why: str

    @property
    def summary(self) -> str:
        """Say in words what is done."""
        moves = ", ".join(swap.summary for swap in self.swaps)
        return f"roll service {self.service_name}: {moves}"


@dataclass(frozen=True, kw_only=True, slots=True)
class WakeUpdater:
    """Change a label of a service, so that the engine goes on with an update that hangs.

    Attributes:
        template: As for ``RollService``.
        token: The label's value: another one for each roll and set of dead nodes.
    """

    service_id: str
    service_name: str
    template: str
    token: str
    reason: Reason
    why: str

    @property
    def summary(self) -> str:
        """Say in words what is done."""
        return f"wake the update of service {self.service_name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveSecret:
    """Remove a Docker secret that nothing needs, after one more look (I1).

    Attributes:
        prunes: Where the name is from, if it goes on: then what services come back to stays. None
            where an operator has let go of it.
    """

    secret: str
    secret_id: str
    docker_name: str
    reason: Reason
    why: str
    prunes: Source | None = None

    @property
    def summary(self) -> str:
        """Say in words what is done."""
        return f"remove secret {self.docker_name}"


@dataclass(frozen=True, slots=True)
class NoteState:
    """Write labels of the state config: verdicts, and what becomes of wishes.

    Attributes:
        secret: Whose labels they are; empty where the config itself is made.
        put: Labels to set.
        drop: Labels to remove where they still have this value: another wish may have come.
    """

    secret: str
    put: Mapping[str, str]
    drop: Mapping[str, str]
    reason: Reason
    why: str

    @property
    def summary(self) -> str:
        """Say in words what is done."""
        return f"note in the state config: {self.why}"


Action = (
    CreateSecret
    | MintGeneration
    | TendGeneration
    | Annotate
    | RollService
    | WakeUpdater
    | RemoveSecret
    | NoteState
)
Chain = tuple[Action, ...]
"""Actions that depend on one another: one that fails ends its chain, and no other."""


def action_key(action: Action) -> str:
    """Name an action for its backoff: the same wish has the same key in every cycle."""
    match action:
        case CreateSecret():
            return f"create {action.docker_name}"
        case MintGeneration():
            return f"mint {action.secret}"
        case TendGeneration():
            return f"{action.step} {action.docker_name}"
        case Annotate():
            return f"annotate {action.docker_name} {action.reason}"
        case RollService():
            return f"roll {action.service_id} " + " ".join(swap.to_id for swap in action.swaps)
        case WakeUpdater():
            return f"wake {action.service_id}"
        case RemoveSecret():
            return f"remove {action.docker_name}"
        case NoteState():
            return f"state {action.secret} {action.reason}"


def concerns(action: Action) -> tuple[tuple[str, ...], str]:
    """Return the names of the secrets that an action is for, and the service that it writes."""
    match action:
        case RollService():
            return tuple(swap.secret for swap in action.swaps), action.service_name
        case WakeUpdater():
            return (), action.service_name
        case _:
            return (action.secret,), ""
