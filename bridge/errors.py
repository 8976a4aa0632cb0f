"""Every error that the bridge raises on purpose.

::

    BridgeError                 what is wrong, where, and what to do about it
    ├── ConfigError             the configuration cannot be used (all its problems at once)
    ├── PlanDiffers             a plan file is not what would be done now
    ├── ContentRefused          a Vault value cannot become the content of a Docker secret
    ├── VaultError
    │   ├── VaultUnreachable    no answer, sealed, overloaded: try again later
    │   ├── LoginRefused        Vault does not accept our credential
    │   └── VaultRefused        Vault answered, and the answer concerns this one path
    ├── NotDelivered            a notification did not arrive, or may not be sent
    ├── Cancelled               what was under way is given up: a stop, or a lease that was lost
    └── SwarmError
        ├── SwarmUnreachable    no answer, no leader, not a manager: try again later
        ├── AnswerLost          a write whose outcome is unknown: look before doing it again (I13)
        ├── OutOfSequence       somebody wrote in between: look again
        ├── NameTaken           an object of that name exists already
        ├── NotFound            the object is gone
        └── SwarmRefused        the engine rejected the request for what it says
            └── NotGranted      it, or a proxy before it, rejected it for who asks

No message carries a byte of a value (I6): callers may log and print them as they are. Errors of the
SDKs keep whole answers in their attributes, so they are mapped here with ``raise ... from None``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line; where several apply, the highest is used."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    HELD = 3
    UNREACHABLE = 4
    ROLL_FAILED = 5
    CHANGES = 10  # only `plan --exit-code`


NOT_UNDERSTOOD = (KeyError, ValueError, TypeError, AttributeError, OverflowError)
"""What reading an answer of any content may end with."""


class BridgeError(Exception):
    """Something is wrong, and the message says what, where and what to do.

    Args:
        message: What is wrong and where, as one sentence without a full stop.
        hint: What to do about it, or nothing where the message says it all.
    """

    exit_code = Exit.UNEXPECTED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a configuration file.

    Attributes:
        file: Path as the user gave it.
        line: Line in the file, counted from 1; 0 where the whole file is meant.
        key: Dotted key, as in ``secrets.db_password.kv.path``; empty for the whole file.
        message: What is wrong and what to do; never a value that may be a credential.
    """

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(BridgeError):
    """The configuration cannot be used; ``problems`` holds every mistake found, in file order."""

    exit_code = Exit.USAGE

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PlanDiffers(BridgeError):
    """What would be done now is not the plan that was reviewed; nothing of it is begun."""

    exit_code = Exit.HELD


class ContentRefused(BridgeError):
    """A Vault value cannot become the content of a Docker secret.

    Args:
        reason: Name of the reason, as in the documented list of reasons.
        message: What is wrong with the content, without a byte of it.
    """

    exit_code = Exit.HELD

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Cancelled(BridgeError):
    """What was under way is given up: somebody asked for a stop, or the leader's lease is lost."""

    exit_code = Exit.HELD


class NotDelivered(BridgeError):
    """A notification was not accepted, or may not be sent to where its URL points."""

    exit_code = Exit.UNREACHABLE


class VaultError(BridgeError):
    """Vault could not do what was asked."""

    exit_code = Exit.UNREACHABLE


class VaultUnreachable(VaultError):
    """No usable answer: no connection, time-out, sealed, overloaded, not JSON. Passes by itself.

    Args:
        everywhere: Whether it is Vault as a whole that does not answer, and not one path.
        hung: Whether it did not answer in time.
        retry_after: Seconds that Vault asks to wait for; 0 where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        everywhere: bool = False,
        hung: bool = False,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message, hint=hint)
        self.everywhere = everywhere
        self.hung = hung
        self.retry_after = retry_after


class LoginRefused(VaultError):
    """Vault does not accept the credential that the bridge logs in with.

    Args:
        everywhere: Whether a login was refused, and not one path with a token that may be dead.
    """

    def __init__(self, message: str, *, hint: str = "", everywhere: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.everywhere = everywhere


class VaultRefused(VaultError):
    """Vault answered, and its answer concerns this one path.

    Args:
        reason: Name of the reason, as in the documented list of reasons.
        message: What Vault answered, and about which path.
    """

    exit_code = Exit.HELD

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class SwarmError(BridgeError):
    """The swarm could not do what was asked."""

    exit_code = Exit.UNREACHABLE


class SwarmUnreachable(SwarmError):
    """No usable answer: connection, no leader, not a manager. Nothing was written."""


class AnswerLost(SwarmError):
    """A write was sent and its answer did not come: it may have been carried out, or may yet be."""


class OutOfSequence(SwarmError):
    """The object was written by somebody else since it was looked at; nothing was changed.

    The engine answers ``500 ... update out of sequence`` (moby/swarmkit#1379), not 409.
    """


class NameTaken(SwarmError):
    """A create met an object of that name; names are unique regardless of case."""


class NotFound(SwarmError):
    """The object is gone."""


class SwarmRefused(SwarmError):
    """The engine rejected the request for what it says; repeating it would not help."""

    exit_code = Exit.HELD


class NotGranted(SwarmRefused):
    """The engine, or a proxy before it, rejected the request for who asks; nothing was done."""
