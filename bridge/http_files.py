"""The files of the HTTP server: its certificate and its token, read again when they change."""

from __future__ import annotations

import hmac
import os
import ssl
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from bridge.errors import BridgeError, Exit
from bridge.model.events import Event

_T = TypeVar("_T")


class BadWebFile(BridgeError):
    """A file of the HTTP server cannot be used."""

    exit_code = Exit.USAGE


class Followed(Generic[_T]):
    """What is made of some files, and made anew when one of them has changed.

    Args:
        files: Their paths.
        make: Reads them. Raises ``BadWebFile``.
        log: A structlog logger, which is told once of files that cannot be used any more.
    """

    def __init__(self, files: tuple[str, ...], make: Callable[[], _T], log: Any) -> None:
        self._files = files
        self._make = make
        self._log = log
        self._state: object = self._stamps()
        self._made = make()

    def __call__(self) -> _T:
        """Return what the files hold; where they cannot be used any more, what they held before."""
        state = self._stamps()
        if state != self._state:
            self._state = state
            try:
                self._made = self._make()
            except BadWebFile as error:
                self._log.warning(Event.HTTP_FILE_REJECTED, message=str(error))
        return self._made

    def _stamps(self) -> tuple[object, ...]:
        """Return what tells one content of the files from the next; a link may lead elsewhere."""
        return tuple(_stamp(name) for name in self._files)


def _stamp(name: str) -> object:
    try:
        found = Path(name).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def server_context(cert_file: str, key_file: str) -> ssl.SSLContext:
    """Return what connections are secured with: TLS 1.2 or newer, with a certificate.

    Raises:
        BadWebFile: One of the files cannot be used, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except FileNotFoundError:
        gone = next((name for name in (cert_file, key_file) if not Path(name).exists()), cert_file)
        raise BadWebFile(f"{gone} is not there", hint=_TLS_HINT) from None
    except PermissionError:
        closed = cert_file if not os.access(cert_file, os.R_OK) else key_file
        raise BadWebFile(f"{closed} may not be read", hint=_TLS_HINT) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise BadWebFile(
            f"{cert_file} and {key_file} cannot be used together ({why})", hint=_TLS_HINT
        ) from None
    return context


_TLS_HINT = (
    "see `http.cert_file` and `http.key_file`: PEM files of one pair, the key without a password"
)


def _no_password() -> str:
    """Refuse a key with a password; OpenSSL would ask for it at the terminal."""
    raise ValueError("the key has a password")


class Token:
    """The token that requests must bring, which is compared in constant time.

    Raises:
        BadWebFile: The file cannot be read, or is empty.
    """

    def __init__(self, file: str) -> None:
        try:
            content = Path(file).read_bytes().strip()
        except OSError as error:
            raise BadWebFile(f"cannot read {file} ({error.strerror})", hint=_TOKEN_HINT) from None
        if not content:
            raise BadWebFile(f"{file} is empty", hint=_TOKEN_HINT)
        self._content = content

    def admits(self, authorization: str) -> bool:
        """Return whether a request's ``Authorization`` has the token.

        It stands behind ``Bearer``, or is the password of ``Basic`` with any name: that is what
        browsers can send.
        """
        scheme, _, rest = authorization.partition(" ")
        given = rest.strip().encode("latin-1", "replace")
        if scheme.lower() == "basic":
            try:
                given = b64decode(given, validate=True).partition(b":")[2]
            except ValueError:
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given, self._content)


_TOKEN_HINT = "it holds the token that each request must bring, see `http.token_file`"  # noqa: S105
