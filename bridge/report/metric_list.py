"""Every metric of the bridge, once: what is exposed and the reference are made from this list.

Labels have few values: names of the configuration, words of the bridge, and numbers of generations
that are alive. A service's or a secret's series end when its name leaves the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "vault_bridge_"


class Kind(StrEnum):
    """What a metric is, in Prometheus' words."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Without the prefix, with its unit, and ``_total`` for a counter.
        text: What it tells, as its ``HELP`` line.
        leader: Whether only the bridge that leads has it, so that those that stand by do not
            double it.
    """

    name: str
    text: str
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()
    leader: bool = False

    @property
    def full(self) -> str:
        """The name as Prometheus has it."""
        return PREFIX + self.name


def _each(name: str, text: str, *labels: str, kind: Kind = Kind.GAUGE) -> Metric:
    return Metric(name=name, text=text, kind=kind, labels=labels)


def _leader(name: str, text: str, *labels: str, kind: Kind = Kind.GAUGE) -> Metric:
    return Metric(name=name, text=text, kind=kind, labels=labels, leader=True)


# --- the bridge itself ----------------------------------------------------------------------------

BUILD_INFO = _each("build_info", "1, with the version of the bridge.", "version")
LEADER = _each("leader", "1 where this bridge leads, 0 where it does not.")
READY = _each("ready", "1 where /readyz is 200, 0 where it is not.")
CONFIG_GOOD = _each(
    "config_last_reload_successful",
    "1 where the last reload of the configuration succeeded, 0 where it was refused.",
)
SWARM_UP = _each("swarm_up", "1 where the swarm answered the last cycle, else 0.")
LAST_CYCLE = _each(
    "last_cycle_timestamp_seconds", "When the last cycle ended or failed, in Unix time."
)
CYCLE_SECONDS = _each("cycle_duration_seconds", "How long cycles took.", kind=Kind.HISTOGRAM)
CYCLES = _each("cycles_total", "Cycles by outcome: done, failed.", "outcome", kind=Kind.COUNTER)
VAULT_REQUESTS = _each(
    "vault_requests_total",
    "Requests to Vault by outcome: done, refused (an error about the request itself), unavailable"
    " (sealed, a standby, overloaded), no_answer, given_up (by the bridge).",
    "outcome",
    kind=Kind.COUNTER,
)
ENGINE_REQUESTS = _each(
    "engine_requests_total",
    "Requests to the Docker engine, by the same outcomes.",
    "outcome",
    kind=Kind.COUNTER,
)

NOTIFICATIONS = _each(
    "notifications_total",
    "Notifications by outcome: delivered, failed (one attempt, which is retried), given_up (after"
    " an hour), dropped (too many waited).",
    "outcome",
    kind=Kind.COUNTER,
)

# --- Vault, as the leader sees it -----------------------------------------------------------------

VAULT_UP = _leader("vault_up", "1 where Vault as a whole can be used, 0 where it cannot.")
OLDEST_ANSWER = _leader(
    "vault_oldest_answer_timestamp_seconds",
    "Oldest time at which a watched path of Vault was last read, in Unix time.",
)
WATCH_PERIOD = _leader(
    "watch_period_seconds", "Actual time between two requests for one path of Vault."
)
WATCH_PERIOD_WANTED = _leader(
    "watch_period_wanted_seconds",
    "The same as poll.interval requires; equal to the actual one where that is auto.",
)
CREDENTIAL_EXPIRES = _leader(
    "credential_expires_timestamp_seconds",
    "When the bridge's own credential for Vault ends, in Unix time; absent where that is unknown.",
)

AUDIT_WRITABLE = _leader(
    "audit_writable",
    "1 where records of the evidence are written to audit.file, 0 where they wait; absent where no"
    " evidence was ever kept.",
)
AUDIT_RECORD = _leader("audit_last_record", "Number of the last record of the evidence.")

# --- secrets and services -------------------------------------------------------------------------

SECRETS = _leader("secrets", "Secrets of the configuration by state.", "state")
SERVICES = _leader("services", "Mappings of secrets to services by state.", "state")
UNMAPPED = _leader("unmapped_secrets", "Mirrored secrets that the configuration no longer has.")
SECRET_STATE = _leader(
    "secret_state", "1 for the state and the reason of each secret.", "secret", "state", "reason"
)
SERVICE_STATE = _leader(
    "service_state",
    "1 for the state and the reason of each service, for each of its secrets.",
    "secret",
    "service",
    "state",
    "reason",
)
HOLDS = _leader(
    "holds",
    "Held changes by reason; secret is empty for a hold of all secrets.",
    "secret",
    "reason",
)
VAULT_VERSION = _leader(
    "secret_vault_version", "Current version in Vault, or the newest generation.", "secret"
)
RUNNING_VERSION = _leader(
    "secret_running_version", "Oldest version that a live task has.", "secret"
)
CREATED = _leader(
    "secret_created_timestamp_seconds",
    "When Vault made the version that runs, in Unix time.",
    "secret",
)
OVERDUE = _leader(
    "secret_overdue", "1 where the version in use is older than max_age allows.", "secret"
)
OVERDUE_AT = _leader(
    "secret_overdue_timestamp_seconds",
    "When the version in use becomes older than max_age allows, in Unix time.",
    "secret",
)
LAG = _leader(
    "secret_lag_seconds",
    "Seconds from Vault's created_time of the newest version until it was mirrored, until its first"
    " task ran, and until no task had an older one; the last two only where this process saw it.",
    "secret",
    "stage",
)
ROTATION_LAG = _leader(
    "rotation_lag_seconds",
    "The same over all secrets, by stage: mirrored, first_task, last_task.",
    "stage",
    kind=Kind.HISTOGRAM,
)

# --- leases ---------------------------------------------------------------------------------------

GENERATIONS = _leader(
    "generations", "Generations of a leased secret whose credential has not ended.", "secret"
)
LEASE_EXPIRES = _leader(
    "lease_expires_timestamp_seconds",
    "When the credential of a generation ends unless it is renewed, in Unix time.",
    "secret",
    "version",
)
STATIC_ROTATION = _leader(
    "static_rotation_timestamp_seconds",
    "When Vault rotates the password of a static role by itself, in Unix time.",
    "secret",
    "version",
)
HARD_END = _leader(
    "lease_hard_end_timestamp_seconds",
    "When the credential of a generation ends in any case, in Unix time.",
    "secret",
    "version",
)
CUSTODY_EXPIRES = _leader(
    "custody_expires_timestamp_seconds",
    "When the custody token of a generation ends unless it is renewed, in Unix time.",
    "secret",
    "version",
)

# --- what was done --------------------------------------------------------------------------------

ROLLS = _leader(
    "rolls_total",
    "Rolls of services by outcome: begun, converged (and baked), failed (the version was set"
    " aside), went_back (rolled back by the bridge; Swarm's own rollbacks are not counted).",
    "outcome",
    kind=Kind.COUNTER,
)
ROLL_SECONDS = _leader(
    "roll_duration_seconds",
    "How long rolls took, from their start to the end of their bake.",
    kind=Kind.HISTOGRAM,
)
ACTIONS = _leader(
    "actions_total",
    "Writes to Vault and the swarm by action and outcome; renew_lease and renew_custody with"
    " another outcome than done are refused renewals.",
    "action",
    "outcome",
    kind=Kind.COUNTER,
)

METRICS: tuple[Metric, ...] = tuple(
    sorted(
        (each for each in tuple(globals().values()) if isinstance(each, Metric)),
        key=lambda metric: (metric.leader, metric.name),
    )
)
"""All of them."""

STAGES = MIRRORED, FIRST_TASK, LAST_TASK = "mirrored", "first_task", "last_task"
"""What a new version goes through, as values of ``stage``."""

ROLL_OUTCOMES = BEGUN, CONVERGED, FAILED, WENT_BACK = "begun", "converged", "failed", "went_back"
"""Values of the outcome of a roll."""
