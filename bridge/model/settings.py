"""Where the servers are and how to log in: what of a configuration is not about secrets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Log in with a token that somebody keeps fresh in a file."""

    token_file: str


@dataclass(frozen=True, slots=True)
class AppRole:
    """Log in with Vault's AppRole method; both files are read again at each login.

    Attributes:
        mount: Where the auth method is mounted, ``approle`` by default.
        secret_id_wrapped: Whether the second file holds a token that wraps the secret id.
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
    """How custody tokens are made.

    Attributes:
        token_role: Token role that they are made with.
        provisional_ttl: Seconds that one lives until the swarm keeps its accessor.
    """

    token_role: str
    provisional_ttl: float = 600.0


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """How to reach Vault.

    Attributes:
        address: ``http(s)://host:port`` without a path.
        namespace: Empty for the root namespace.
        ca_file: PEM file of a private CA; empty for the system's.
        max_rps: Ceiling on requests per second.
        custody: How custody tokens are made; where absent, each is a login of its own.
    """

    address: str
    auth: Auth
    namespace: str = ""
    ca_file: str = ""
    max_rps: float = 50.0
    custody: Custody | None = None


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """How to reach a swarm manager's engine.

    Attributes:
        host: ``unix://``, ``tcp://`` or ``ssh://`` address.
        plaintext: Whether a ``tcp://`` host is spoken to without TLS, on the user's own word.
        ca_file, cert_file, key_file: PEM files for ``tcp://`` with TLS; empty where unused.
    """

    host: str
    plaintext: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The servers and the pace at which they are looked at.

    Attributes:
        poll_interval: Seconds between two looks at Vault, before jitter.
    """

    vault: VaultSettings
    docker: DockerSettings
    poll_interval: float = 10.0
