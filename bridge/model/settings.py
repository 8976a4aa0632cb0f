"""Settings: where Vault and the engine are, and how to log in to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.model.notification import Receiver


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Log in with the token in a file, which something else renews, as Vault Agent does."""

    token_file: str


@dataclass(frozen=True, slots=True)
class AppRole:
    """Log in with Vault's AppRole method; both files are read again at each login.

    Attributes:
        mount: Where the auth method is mounted, ``approle`` by default.
        secret_id_wrapped: Whether ``secret_id_file`` holds a wrapping token instead.
    """

    role_id_file: str
    secret_id_file: str
    mount: str = "approle"
    secret_id_wrapped: bool = False


@dataclass(frozen=True, slots=True)
class JwtLogin:
    """Log in with Vault's JWT method; the file is read again at each login."""

    role: str
    jwt_file: str
    mount: str = "jwt"


@dataclass(frozen=True, slots=True)
class CertLogin:
    """Log in with Vault's TLS certificate method; the files are read again at each login."""

    role: str
    cert_file: str
    key_file: str
    mount: str = "cert"


Auth = TokenFile | AppRole | JwtLogin | CertLogin


@dataclass(frozen=True, slots=True)
class Custody:
    """How custody tokens are created, each of which one lease belongs to; see ``leased``.

    Attributes:
        token_role: Vault's token role that they are created with.
        provisional_ttl: TTL in seconds until a Docker secret names the accessor.
    """

    token_role: str
    provisional_ttl: float = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TransitKey:
    """A key of Vault's transit engine that signs the evidence.

    Attributes:
        mount: Where the engine is mounted.
        key: Name of the key.
        every: Records after which the chain is signed.
        interval: Seconds after which it is signed at the latest.
    """

    mount: str
    key: str
    every: int = 100
    interval: float = 3600.0


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How evidence is kept.

    Attributes:
        file: Path of its file; empty where it goes to the log alone.
        hold: Whether nothing is done while a record cannot be written.
        transit: The key that signs it; None where none does.
    """

    file: str = ""
    hold: bool = False
    transit: TransitKey | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class VaultSettings:
    """How to reach Vault.

    Attributes:
        address: ``http(s)://host:port`` without a path.
        namespace: Empty for the root namespace.
        ca_file: PEM file of a private CA; empty for the system's.
        max_rps: Most requests per second.
        max_connections: Most connections by which Vault is watched at the same time.
        ui_address: Where people reach Vault's own user interface; empty where it is not shown.
        custody: How custody tokens are created; None where each is a login of its own.
        transit: The key that the evidence is signed with; None where it is not signed.
    """

    address: str
    auth: Auth
    namespace: str = ""
    ca_file: str = ""
    max_rps: float = 50.0
    max_connections: int = 4
    custody: Custody | None = None
    ui_address: str = ""
    transit: TransitKey | None = None


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """How to reach a swarm manager's engine.

    Attributes:
        host: ``unix://``, ``tcp://`` or ``ssh://`` address.
        plaintext: Whether a ``tcp://`` host is used without TLS, which the user has to allow.
        ca_file, cert_file, key_file: PEM files for ``tcp://`` with TLS; empty where unused.
    """

    host: str
    plaintext: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class SshAddress:
    """The address of an engine that is reached by ssh.

    Attributes:
        host: Host name, or an alias in the ssh client's configuration.
        user: Login name; empty where the ssh client's configuration decides.
        port: TCP port; None where the ssh client's configuration decides.
        socket: Path of the engine's socket on that host; empty for its default.
    """

    host: str
    user: str = ""
    port: int | None = None
    socket: str = ""

    @classmethod
    def read(cls, text: str) -> SshAddress:
        """Return the address in ``ssh://[user@]host[:port][/path/to/docker.sock]``.

        That is what Docker's own commands take.

        Raises:
            ValueError: It is no such address. The message does not repeat it, as it may hold a
                password.
        """
        authority, slash, path = text.removeprefix("ssh://").partition("/")
        user, _, place = authority.rpartition("@")
        if ":" in user:
            raise ValueError("a password is never sent: remove it, ssh logs in by key")
        match = _HOST_AND_PORT.fullmatch(place)
        if not match or not _SSH_USER.fullmatch(user) or re.search(r"[?#\s]", path):
            raise ValueError("an ssh host is written ssh://user@host:22, or with a socket's path")
        host, port = match["bracketed"] or match["host"], match["port"]
        return cls(host, user, int(port) if port else None, slash + path if path else "")


_HOST_AND_PORT = re.compile(
    r"(?:\[(?P<bracketed>[0-9a-fA-F:.%]+)\]|(?P<host>[\w.][\w.-]*))(?::(?P<port>\d{1,5}))?"
)
_SSH_USER = re.compile(r"(?:[^\s@/?#-][^\s@/?#]*)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpSettings:
    """Where the bridge shows how it is, over HTTP.

    Attributes:
        host: Address or name to listen on.
        port: 0 for any free one.
        cert_file, key_file: PEM files for TLS; empty where it is off.
        token_file: File with the token that a request must bring; empty where none is asked for.
    """

    host: str
    port: int
    cert_file: str = ""
    key_file: str = ""
    token_file: str = ""

    @property
    def local(self) -> bool:
        """Whether only this machine, or this container, reaches it."""
        return is_loopback(self.host)


LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine alone, to itself."""
    return host in ("localhost", "::1") or host.startswith("127.")


_LISTEN = re.compile(r"(?:\[(?P<bracketed>[0-9a-fA-F:.]+)\]|(?P<host>[\w.-]*)):(?P<port>\d{1,5})")


def listen_address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; without a host it is this machine alone.

    Raises:
        ValueError: It is none.
    """
    match = _LISTEN.fullmatch(text.strip())
    if not match or int(match["port"]) > _MAX_PORT:
        raise ValueError(
            'an address is needed as in ":9180" for this machine alone, or "0.0.0.0:9180" for all'
            " of its networks"
        )
    return match["bracketed"] or match["host"] or LOOPBACK, int(match["port"])


_MAX_PORT = 65535


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The servers, how often Vault is looked at, and where the bridge shows how it is.

    Attributes:
        http: None where it shows nothing over HTTP.
        audit: None where no evidence is kept.
        notify: Who is told of what.
        poll_interval: Seconds between two requests for one path of Vault; None for as often as
            half of ``max_rps`` allows.
    """

    vault: VaultSettings
    docker: DockerSettings
    poll_interval: float | None = None
    http: HttpSettings | None = None
    audit: AuditSettings | None = None
    notify: tuple[Receiver, ...] = ()
