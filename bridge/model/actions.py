"""Actions: the writes to Vault and to the swarm that a plan asks for, in chains.

Each is a value. ``apply`` carries it out, and returns what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.model.desired import Content
from bridge.model.identity import Identity
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason
from bridge.model.source import Source
from bridge.model.spec import Swap


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateSecret:
    """Read one version of a KV v2 path and create the Docker secret that mirrors it.

    Attributes:
        secret: Name in the configuration.
        labels: Labels that the Docker secret is created with.
        former: Id and name of a Docker secret that mirrors the same version already. If its bytes
            turn out to be the same, nothing is created. None where there is no such secret.
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
        """One line that describes the action."""
        return f"create secret {self.docker_name} from version {self.identity.version} in Vault"


@dataclass(frozen=True, kw_only=True, slots=True)
class MintGeneration:
    """Have Vault issue a credential, and create the Docker secret that holds it.

    Attributes:
        secret: Name in the configuration.
        version: Number of the generation.
        labels: Labels besides those of its identity and its lease, which Vault's answer gives.
        role: For static roles: the role whose password is mirrored; else empty.
        rotate: For static roles: whether Vault rotates the role first.
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
        """One line that describes the action."""
        what = f"a new credential of {self.source}"
        if self.role:
            what = f"{'a new' if self.rotate else 'the'} password of the static role {self.role}"
        return f"create secret {self.docker_name} from {what}"


class Tend(StrEnum):
    """A step in the life of a lease, of its custody token, or of a static role's password."""

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
    """Renew or end the credential of a generation.

    The lease's id and the accessor are no part of it: they are read from the Docker secret's
    labels when it is carried out.

    Attributes:
        grace: For ``SHORTEN``: seconds for which the lease still lives.
        patience: For a renewal: seconds after which it is tried again at the latest.
        absent: Ids of tasks on nodes that are down, which no longer count as users.
        even_used: For ``REVOKE``: whether it ends although something uses it (``--revoke-first``).
        at: For ``RETIRE``: the time that the label gets, seconds since the epoch.
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
        """One line that describes the action."""
        return f"{self.step} of {self.docker_name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotate:
    """Set and remove labels of a Docker secret; all others stay.

    Labels are the only part of a Docker secret that the engine lets anyone change.

    Attributes:
        put: Labels to set.
        drop: Labels to remove.
        gone: Ids of services that must still be missing when the labels are written.
    """

    secret: str
    secret_id: str
    docker_name: str
    reason: Reason
    why: str
    put: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    @classmethod
    def on(
        cls,
        mirror: Mirror,
        *,
        reason: Reason,
        why: str,
        put: Mapping[str, str] | None = None,
        drop: frozenset[str] = frozenset(),
    ) -> Annotate:
        """Return the action that writes labels of a mirror's Docker secret."""
        return cls(
            secret=mirror.secret,
            secret_id=mirror.id,
            docker_name=mirror.docker_name,
            reason=reason,
            why=why,
            put=put or {},
            drop=drop,
        )

    @property
    def summary(self) -> str:
        """One line that describes the action."""
        return f"note on secret {self.docker_name}: {self.why}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RollService:
    """Update a service once, so that its references point to other Docker secrets.

    Attributes:
        template: Fingerprint of the TaskTemplate that was decided on. Where the service has another
            one by now, nothing is written. Labels and scaling by somebody else do not change it.
    """

    service_id: str
    service_name: str
    template: str
    swaps: tuple[Swap, ...]
    reason: Reason
    why: str

    @property
    def summary(self) -> str:
        """One line that describes the action."""
        moves = ", ".join(swap.summary for swap in self.swaps)
        return f"roll service {self.service_name}: {moves}"


@dataclass(frozen=True, kw_only=True, slots=True)
class WakeUpdater:
    """Change a label of a service, so that the engine goes on with an update that hangs.

    The updater waits for a task on a node that is down; any write to the service restarts it.

    Attributes:
        template: As for ``RollService``.
        token: Value of the label: another one for each roll and each set of nodes that are down.
    """

    service_id: str
    service_name: str
    template: str
    token: str
    reason: Reason
    why: str

    @property
    def summary(self) -> str:
        """One line that describes the action."""
        return f"wake the update of service {self.service_name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveSecret:
    """Remove a Docker secret that nothing needs, after one more look at the swarm (I1).

    Attributes:
        prunes: Source of the secret where it stays in the configuration: the versions that services
            may go back to are then kept. None where an operator has let go of the whole secret.
    """

    secret: str
    secret_id: str
    docker_name: str
    reason: Reason
    why: str
    prunes: Source | None = None

    @property
    def summary(self) -> str:
        """One line that describes the action."""
        return f"remove secret {self.docker_name}"


@dataclass(frozen=True, slots=True)
class NoteState:
    """Set and remove labels of the state config: verdicts, and what became of wishes.

    Attributes:
        secret: Name of the secret concerned; empty where the config itself is created.
        put: Labels to set.
        drop: Labels to remove if they still have this value: an operator may have written another.
    """

    secret: str
    put: Mapping[str, str]
    drop: Mapping[str, str]
    reason: Reason
    why: str

    @property
    def summary(self) -> str:
        """One line that describes the action."""
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
"""Actions in order, each of which depends on the one before: a failure ends this chain only."""


def action_key(action: Action) -> str:
    """Return the key of an action's backoff: the same intent has the same key in every cycle."""
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


def rolled_service(key: str) -> str:
    """Return the id of the service whose roll has this key; empty where it is another action's."""
    verb, _, rest = key.partition(" ")
    return rest.partition(" ")[0] if verb == "roll" else ""


def concerns(action: Action) -> tuple[tuple[str, ...], str]:
    """Return the names of the secrets that an action is for, and of the service that it writes."""
    match action:
        case RollService():
            return tuple(swap.secret for swap in action.swaps), action.service_name
        case WakeUpdater():
            return (), action.service_name
        case _:
            return (action.secret,), ""
