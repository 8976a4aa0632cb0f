"""Events of the log: the table of what a line may tell, and with which fields.

``docs/reference/log.md`` and the JSON Schema of a line are made from it. People search and alert
for these names, so they are part of the contract with users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """What happened, as a line of the log names it."""

    # A version becomes a Docker secret
    MIRRORED = "mirrored"
    ALREADY_MIRRORED = "already_mirrored"
    MINTED = "minted"
    PRUNED = "pruned"
    UNUSED = "unused"

    # Services are rolled
    ROLLING = "rolling"
    ROLLING_BACK = "rolling_back"
    UPDATER_WOKEN = "updater_woken"
    CONVERGED = "converged"
    GOOD = "good"
    SET_ASIDE = "set_aside"
    BLOCKED = "blocked"

    # Credentials are kept and ended
    CUSTODY_PERMANENT = "custody_permanent"
    CUSTODY_RENEWED = "custody_renewed"
    LEASE_RENEWED = "lease_renewed"
    RETIRING = "retiring"
    LEASE_SHORTENED = "lease_shortened"
    LEASE_REVOKED = "lease_revoked"
    CUSTODY_REVOKED = "custody_revoked"
    STATIC_ROLE_ROTATED = "static_role_rotated"
    CREDENTIAL_ENDED = "credential_ended"

    # An action that did not succeed
    LOOKING_AGAIN = "looking_again"
    REFUSED = "refused"
    FAILED = "failed"

    # Operators
    WISH_DONE = "wish_done"
    WISH_REFUSED = "wish_refused"
    NOTED = "noted"

    # How secrets stand
    STATE = "state"
    HELD = "held"
    NO_LONGER_HELD = "no_longer_held"
    FORCED = "forced"
    FIELDS_SHARED = "fields_shared"
    TEMPLATING_ENDS = "templating_ends"
    OVERDUE = "overdue"

    # The bridge itself
    STARTED = "started"
    STOPPED = "stopped"
    LEADS = "leads"
    STANDS_BY = "stands_by"
    LOGIN_REFUSED = "login_refused"
    CONFIGURATION_WARNING = "configuration_warning"
    CONFIGURATION_RELOADED = "configuration_reloaded"
    CONFIGURATION_REJECTED = "configuration_rejected"
    SWARM_UNREACHABLE = "swarm_unreachable"
    CYCLE_CANCELLED = "cycle_cancelled"
    CYCLE_FAILED = "cycle_failed"
    CYCLES_RESUMED = "cycles_resumed"
    CLOCK_SET = "clock_set"
    EVENTS_NOT_GRANTED = "events_not_granted"
    EVENTS_FAILED = "events_failed"
    VAULT_WATCH_FAILED = "vault_watch_failed"
    HEALTH_NOT_SERVED = "health_not_served"
    OUTLET_FAILED = "outlet_failed"
    HTTP_LISTENING = "http_listening"
    HTTP_FAILED = "http_failed"
    HTTP_FILE_REJECTED = "http_file_rejected"
    HTTP_PAGE_FAILED = "http_page_failed"
    HTTP_SERVER_FAILED = "http_server_failed"
    AUDIT = "audit"
    ASKED = "asked"
    AUDIT_UNWRITABLE = "audit_unwritable"
    AUDIT_WRITABLE = "audit_writable"
    AUDIT_UNSIGNED = "audit_unsigned"
    AUDIT_GAP = "audit_gap"
    NOTIFICATION_FAILED = "notification_failed"
    NOTIFICATIONS_DROPPED = "notifications_dropped"
    NOTIFICATIONS_RESUMED = "notifications_resumed"
    UNEXPECTED_ERROR = "unexpected_error"


@dataclass(frozen=True, slots=True)
class About:
    """What a line of one event tells.

    Attributes:
        level: ``info``, ``warning``, ``error`` or ``debug``; two where it depends on the reason.
        meaning: What happened, for the reference.
        has: Fields that each such line has, besides those of every line.
    """

    level: str
    meaning: str
    has: tuple[str, ...] = ()


_VERSION = ("secret", "version", "rotation", "reason", "message")
_ROLL = ("secret", "service", "rotation", "reason", "message")
_TROUBLE = ("reason", "wanted", "message")

EVENTS: Mapping[Event, About] = {
    Event.MIRRORED: About("info", "a version of Vault became a Docker secret", _VERSION),
    Event.ALREADY_MIRRORED: About(
        "info", "a Docker secret with the same bytes exists already, so none was made", _VERSION
    ),
    Event.MINTED: About(
        "info or warning",
        "Vault issued a credential, and it became a Docker secret; a warning where the one before"
        " had ended unexpectedly",
        _VERSION,
    ),
    Event.PRUNED: About("info", "a Docker secret that nothing needs was removed", _VERSION),
    Event.UNUSED: About(
        "info", "no task has this version any more: its value may be retired", _VERSION
    ),
    Event.ROLLING: About("info", "a service is updated from `former` to `version`", _ROLL),
    Event.ROLLING_BACK: About(
        "warning",
        "a service is updated back to `version`; `rotation` is that of the version it leaves",
        _ROLL,
    ),
    Event.UPDATER_WOKEN: About(
        "warning",
        "the bridge made an update continue that waited for a node that is down",
        ("service", "reason", "message"),
    ),
    Event.CONVERGED: About("info", "one service has converged on a version", _VERSION),
    Event.GOOD: About("info", "every service has converged and baked on a version", _VERSION),
    Event.SET_ASIDE: About(
        "warning",
        "a version is set aside: `service`, or every service, no longer uses it",
        _VERSION,
    ),
    Event.BLOCKED: About(
        "info", "no task of a roll could start; the version is not the cause", _VERSION
    ),
    Event.CUSTODY_PERMANENT: About(
        "info", "the token that holds a lease was made permanent", _VERSION
    ),
    Event.CUSTODY_RENEWED: About("info", "the token that holds a lease was renewed", _VERSION),
    Event.LEASE_RENEWED: About("info", "a lease was renewed", _VERSION),
    Event.RETIRING: About("info", "a credential is not renewed any more", _VERSION),
    Event.LEASE_SHORTENED: About("info", "a lease was shortened to `lease.grace`", _VERSION),
    Event.LEASE_REVOKED: About("info", "a lease was revoked", _VERSION),
    Event.CUSTODY_REVOKED: About(
        "info or warning",
        "the token that held a lease was revoked; a warning where the lease ended unexpectedly",
        _VERSION,
    ),
    Event.STATIC_ROLE_ROTATED: About("info", "Vault was told to rotate a static role", _VERSION),
    Event.CREDENTIAL_ENDED: About("info", "a credential was seen to have ended", _VERSION),
    Event.LOOKING_AGAIN: About(
        "info",
        "something changed meanwhile: nothing was done, and the next cycle decides again",
        _TROUBLE,
    ),
    Event.REFUSED: About("warning", "the content of a version cannot be used", _TROUBLE),
    Event.FAILED: About("warning", "an action failed and will be retried", _TROUBLE),
    Event.WISH_DONE: About(
        "info", "an operator's command was carried out", ("secret", "reason", "message")
    ),
    Event.WISH_REFUSED: About(
        "warning", "an operator's command cannot be carried out", ("secret", "reason", "message")
    ),
    Event.NOTED: About(
        "debug", "the bridge wrote a mark that only it reads", ("reason", "message")
    ),
    Event.STATE: About(
        "info",
        "the state of a secret changed; one line with `count` where more than five changed alike",
        ("state", "reason"),
    ),
    Event.HELD: About(
        "warning",
        "a change is held; one line with `count` where more than five are held alike",
        ("reason", "message"),
    ),
    Event.NO_LONGER_HELD: About("info", "a hold has ended", ("reason",)),
    Event.FORCED: About(
        "warning",
        "a roll begins in spite of windows and limits, since a credential ends soon",
        ("reason", "message"),
    ),
    Event.FIELDS_SHARED: About(
        "warning",
        "several files of a service share owner and mode",
        ("reason", "message"),
    ),
    Event.TEMPLATING_ENDS: About(
        "warning",
        "the next version no longer has a template driver",
        ("reason", "message"),
    ),
    Event.OVERDUE: About(
        "warning",
        "a version is older than `max_age`; one line with `count` where more than five are",
        ("reason", "message"),
    ),
    Event.STARTED: About("info", "the service starts", ("program_version", "secrets")),
    Event.STOPPED: About("info", "the service was stopped, and ends"),
    Event.LEADS: About("info", "this bridge leads from now on"),
    Event.STANDS_BY: About(
        "info", "another bridge leads; this one takes over from it", ("leader",)
    ),
    Event.LOGIN_REFUSED: About(
        "warning", "this bridge stands by, and Vault refuses its login", ("message",)
    ),
    Event.CONFIGURATION_WARNING: About(
        "warning",
        "the configuration has something that is valid but probably a mistake",
        ("message",),
    ),
    Event.CONFIGURATION_RELOADED: About("info", "the configuration was read again, on SIGHUP"),
    Event.CONFIGURATION_REJECTED: About(
        "warning", "the new configuration is invalid; the current one stays in force", ("message",)
    ),
    Event.SWARM_UNREACHABLE: About("warning", "the swarm gives no usable answer", ("message",)),
    Event.CYCLE_CANCELLED: About("warning", "a cycle was cancelled before its end", ("message",)),
    Event.CYCLE_FAILED: About(
        "error", "a cycle ended with an unexpected error; the next one starts afresh", ("error",)
    ),
    Event.CYCLES_RESUMED: About("info", "cycles succeed again"),
    Event.CLOCK_SET: About(
        "warning", "somebody set the wall clock; timers go on unchanged", ("seconds",)
    ),
    Event.EVENTS_NOT_GRANTED: About(
        "warning",
        "the engine's events cannot be read, so the bridge sees changes by others later",
        ("message",),
    ),
    Event.EVENTS_FAILED: About(
        "error",
        "reading the engine's events ended with an unexpected error; it is restarted",
        ("error",),
    ),
    Event.VAULT_WATCH_FAILED: About(
        "error", "watching Vault met an unexpected error; it continues", ("error",)
    ),
    Event.HEALTH_NOT_SERVED: About(
        "warning",
        "`vault-bridge health` does not reach this bridge: another one of the instance runs here",
        ("message",),
    ),
    Event.OUTLET_FAILED: About(
        "error",
        "something could not be published; rotations are not affected",
        ("outlet", "error"),
    ),
    Event.HTTP_LISTENING: About("info", "the bridge answers over HTTP", ("address",)),
    Event.HTTP_FAILED: About(
        "error", "the bridge cannot answer over HTTP; it retries, and rotations go on", ("message",)
    ),
    Event.HTTP_FILE_REJECTED: About(
        "warning",
        "a file of `http` changed and cannot be used; its former content stays in use",
        ("message",),
    ),
    Event.HTTP_PAGE_FAILED: About(
        "error", "an answer over HTTP ended with an unexpected error", ("error", "path")
    ),
    Event.HTTP_SERVER_FAILED: About(
        "error", "the HTTP server met an unexpected error; it continues", ("error",)
    ),
    Event.AUDIT: About("info", "a record of the evidence", ("record",)),
    Event.ASKED: About("-", "an operator gave a command; only as an act of a record"),
    Event.AUDIT_UNWRITABLE: About(
        "error", "records of the evidence cannot be written to `audit.file`", ("message",)
    ),
    Event.AUDIT_WRITABLE: About("info", "all records of the evidence are in the file again"),
    Event.AUDIT_UNSIGNED: About(
        "warning", "Vault does not sign the evidence; the bridge retries", ("message",)
    ),
    Event.AUDIT_GAP: About(
        "error", "the audit file ends before what this bridge has written", ("message",)
    ),
    Event.NOTIFICATION_FAILED: About(
        "warning",
        "a receiver does not accept notifications; logged once until it does, and retried",
        ("receiver", "message"),
    ),
    Event.NOTIFICATIONS_DROPPED: About(
        "warning",
        "too many notifications wait for a receiver, so the bridge drops new ones",
        ("receiver", "message"),
    ),
    Event.NOTIFICATIONS_RESUMED: About(
        "info", "a receiver accepts notifications again", ("receiver",)
    ),
    Event.UNEXPECTED_ERROR: About("error", "a command ended with an unexpected error", ("error",)),
}

FIELDS: Mapping[str, tuple[str, str]] = {
    "timestamp": ("time", "when, in UTC, RFC 3339"),
    "level": ("level", "`debug`, `info`, `warning` or `error`"),
    "event": ("event", "what happened: a name from the table below"),
    "instance": ("text", "`instance` of the configuration"),
    "bridge": ("text", "host of the bridge that wrote the line: `$BRIDGE_HOST`, or its own name"),
    "rotation": (
        "rotation",
        "the rotation that the line belongs to: see above",
    ),
    "secret": ("text", "name of the secret in the configuration"),
    "service": ("text", "name of the service"),
    "version": ("number", "version in Vault, or number of the generation"),
    "former": ("number", "the version that a service leaves"),
    "docker_secret": ("text", "name of the Docker secret"),
    "reason": ("reason", "why: one of [Reasons](reasons.md)"),
    "message": ("text", "the explanation"),
    "wanted": ("text", "the action that was not done"),
    "state": ("state", "`Synced`, `Rolling`, `Held` or `Degraded`"),
    "vault_version": ("number or null", "current version in Vault; null where it is not known"),
    "running_version": ("number or null", "oldest version that a task has; null for none"),
    "count": ("number", "how many secrets or services one line stands for"),
    "leader": ("text", "host of the bridge that leads"),
    "program_version": ("text", "version of vault-swarm-bridge"),
    "secrets": ("number", "secrets in the configuration"),
    "seconds": ("decimal", "how far the clock was set"),
    "outlet": ("text", "what could not be published"),
    "address": ("text", "where the bridge answers over HTTP"),
    "path": ("text", "the path of the request, shortened"),
    "record": ("record", "a record: see [Evidence](../explanation/evidence.md)"),
    "receiver": ("text", "`url_file` of the receiver, never its URL"),
    "error": ("text", "type of the error and its traceback, without its message"),
}
"""Every field that a line may have: its type and its meaning."""

EVERY_LINE = ("timestamp", "level", "event", "instance", "bridge")
"""Fields that each line has."""
