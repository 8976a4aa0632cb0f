"""States and reasons: the words of ``status``, the log and the exit code.

``docs/reference/reasons.md`` has a line for each reason, with what to do about it.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a secret, or of one service with regard to it."""

    SYNCED = "Synced"
    ROLLING = "Rolling"
    HELD = "Held"
    DEGRADED = "Degraded"


class Reason(StrEnum):
    """Why something is done, held or reported."""

    # Nothing to do, or on the way
    UP_TO_DATE = "UpToDate"
    NEW_VERSION = "NewVersion"
    ROLLING = "Rolling"
    BAKING = "Baking"
    SETTLING = "Settling"
    WAITING_FOR_TURN = "WaitingForTurn"
    LOOKING_AGAIN = "LookingAgain"
    CONVERGED = "Converged"
    NO_LONGER_USED = "NoLongerUsed"
    SUPERSEDED = "Superseded"
    SERVICE_GONE = "ServiceGone"
    OUTDATED = "Outdated"
    DRIFTED = "Drifted"
    FIELDS_CHANGED = "FieldsChanged"
    CONTENT_CHANGED = "ContentChanged"
    OVERDUE = "Overdue"

    # Operators
    PAUSED = "Paused"
    NEEDS_APPROVAL = "NeedsApproval"
    WINDOW_CLOSED = "WindowClosed"
    NOT_IN_PLAN = "NotInPlan"
    WISHED = "Wished"
    WISH_REFUSED = "WishRefused"
    FORGOTTEN = "Forgotten"
    STATE_LOST = "StateLost"
    AUDIT_UNWRITABLE = "AuditUnwritable"

    # Vault
    VAULT_UNREACHABLE = "VaultUnreachable"
    LOGIN_REFUSED = "LoginRefused"
    PERMISSION_DENIED = "PermissionDenied"
    PATH_MISSING = "PathMissing"
    MOUNT_MISSING = "MountMissing"
    NAMESPACE_MISSING = "NamespaceMissing"
    NOT_KV_V2 = "NotKvV2"
    NO_VERSION = "NoVersion"
    VERSION_DELETED = "VersionDeleted"
    VERSION_DESTROYED = "VersionDestroyed"
    VERSION_WENT_BACK = "VersionWentBack"
    VAULT_REFUSED = "VaultRefused"
    MANY_MISSING = "ManyMissing"

    # Leased credentials
    NEW_GENERATION = "NewGeneration"
    ROTATION_DUE = "RotationDue"
    ROTATION_ASKED = "RotationAsked"
    CUSTODY_PROVISIONAL = "CustodyProvisional"
    LEASE_KEPT = "LeaseKept"
    LEASE_ENDING = "LeaseEnding"
    LEASE_VANISHED = "LeaseVanished"
    LEASE_UNSTABLE = "LeaseUnstable"
    FORCED_BY_EXPIRY = "ForcedByExpiry"
    GENERATIONS_FAILED = "GenerationsFailed"
    RETIRING = "Retiring"
    CREDENTIAL_ENDED = "CredentialEnded"
    RENEWAL_FAILED = "RenewalFailed"
    REVOCATION_FAILED = "RevocationFailed"
    FOREIGN_LEASE = "ForeignLease"
    ROLE_MISSING = "RoleMissing"
    CUSTODY_REFUSED = "CustodyRefused"

    # Content
    FIELD_MISSING = "FieldMissing"
    FIELD_NOT_TEXT = "FieldNotText"
    CONTENT_EMPTY = "ContentEmpty"
    CONTENT_TOO_LARGE = "ContentTooLarge"
    NOT_BASE64 = "NotBase64"
    FORMAT_CANNOT_HOLD = "FormatCannotHold"
    TEMPLATE_FAILED = "TemplateFailed"

    # Swarm
    NOT_OWNED = "NotOwned"
    CONTENT_DIFFERS = "ContentDiffers"
    SERVICE_MISSING = "ServiceMissing"
    SERVICE_BUSY = "ServiceBusy"
    TARGET_TAKEN = "TargetTaken"
    FIELDS_SHARED = "FieldsShared"
    TEMPLATING_ENDS = "TemplatingEnds"
    WOULD_RERUN = "WouldRerun"
    SWARM_REFUSED = "SwarmRefused"
    TRYING_AGAIN = "TryingAgain"
    UNMAPPED = "Unmapped"
    NOT_UNDERSTOOD = "NotUnderstood"

    # Refusal
    ROLL_FAILED = "RollFailed"
    FAILED_ELSEWHERE = "FailedElsewhere"
    SET_ASIDE = "SetAside"
    SERVICE_UNHEALTHY = "ServiceUnhealthy"
    GOING_BACK = "GoingBack"
    TRIED_ALONE = "TriedAlone"
    CHANGED_MEANWHILE = "ChangedMeanwhile"
    NO_WAY_BACK = "NoWayBack"
    NODE_LOST = "NodeLost"
    CANNOT_BE_SCHEDULED = "CannotBeScheduled"
    IMAGE_MISSING = "ImageMissing"
    CANNOT_START = "CannotStart"


VAULT_AWAY = frozenset((Reason.VAULT_UNREACHABLE, Reason.LOGIN_REFUSED))
"""Reasons for which Vault as a whole may be of no use; they pass by themselves, or concern all."""
