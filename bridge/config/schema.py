"""The whole configuration as pydantic models; the one place where pydantic is used.

Every key of the contract is here from the start. Which of them are not built yet is said in
``rules``, so that the schema does not change when they come.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.config.values import (
    Address,
    Digits,
    DockerHost,
    Duration,
    Interval,
    Mode,
    Name,
    Percent,
    ServiceName,
    Target,
    VaultPath,
)

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, defer_build=True
    )


class AuthToken(_Model):
    """A token that somebody else keeps fresh in a file."""

    method: Literal["token"]
    token_file: Text


class AuthAppRole(_Model):
    """Vault's AppRole method."""

    method: Literal["approle"]
    role_id_file: Text
    secret_id_file: Text
    mount: VaultPath = "approle"


class AuthJwt(_Model):
    """Vault's JWT method."""

    method: Literal["jwt"]
    role: Text
    jwt_file: Text
    mount: VaultPath = "jwt"


class AuthCert(_Model):
    """Vault's TLS certificate method."""

    method: Literal["cert"]
    role: Text
    cert_file: Text
    key_file: Text
    mount: VaultPath = "cert"


class Custody(_Model):
    """The tokens that hold the leases of each generation."""

    token_role: Text
    provisional_ttl: Duration = 600.0


class Vault(_Model):
    """Where Vault is and how to log in."""

    address: Address
    namespace: VaultPath | None = None
    ca_file: Text | None = None
    auth: Annotated[AuthToken | AuthAppRole | AuthJwt | AuthCert, Field(discriminator="method")]
    custody: Custody | None = None
    max_rps: Annotated[float, Field(gt=0, strict=False)] = 50.0


class Docker(_Model):
    """Where the swarm manager's engine is."""

    host: DockerHost = "unix:///var/run/docker.sock"
    plaintext: bool = False
    ca_file: Text | None = None
    cert_file: Text | None = None
    key_file: Text | None = None


class Poll(_Model):
    """How often Vault is looked at."""

    interval: Interval = 10.0


class Window(_Model):
    """When rolls may begin."""

    allow: Text
    tz: Text = "UTC"


class Rollout(_Model):
    """How carefully services are rolled."""

    max_in_flight: Count = 1
    settle: Duration = 0.0
    settle_max: Duration = 300.0
    bake: Duration = 30.0
    timeout: Interval = 600.0
    on_failure: Literal["service", "all"] = "service"
    canary: list[ServiceName] = []
    windows: list[Window] = []


class Limits(_Model):
    """How much a plan may touch without ``approve``."""

    max_services: Count


class Retain(_Model):
    """How many old versions stay."""

    versions: Count = 2
    min_age: Duration = 86400.0


class Discovery(_Model):
    """Which services may ask for a secret by label."""

    allow_services: list[Text] = []


class Http(_Model):
    """The bridge's own pages."""

    listen: Text


class Notify(_Model):
    """Whom to tell."""

    url_file: Text
    format: Literal["json", "slack", "teams"] = "json"
    events: list[Literal["failed", "held", "lease_danger", "recovered"]] = []


class KvLease(_Model):
    """The lease that a KV version's fields name."""

    id_field: Text
    accessor_field: Text
    mount: VaultPath
    role: Text


class Kv(_Model):
    """A path of a KV v2 engine."""

    mount: VaultPath
    path: VaultPath
    field: Text | None = None
    lease: KvLease | None = None


class Database(_Model):
    """A dynamic role of Vault's database engine."""

    mount: VaultPath
    role: Text


class Static(_Model):
    """Static roles of Vault's database engine, taken in turn."""

    mount: VaultPath
    roles: Annotated[list[Text], Field(min_length=1, max_length=2)]


class RotateOn(_Model):
    """A KV path whose new version asks for a new generation."""

    mount: VaultPath
    path: VaultPath


class Lease(_Model):
    """When a leased credential is replaced and how the former one ends."""

    rotate_before: Percent | None = None
    rotate_every: Duration | None = None
    rotate_on: RotateOn | None = None
    grace: Duration = 30.0
    overlap_max: Duration = 86400.0


class Service(_Model):
    """The file in the containers of one service."""

    target: Target | None = None
    uid: Digits | None = None
    gid: Digits | None = None
    mode: Mode | None = None


class Secret(_Model):
    """One secret: where it comes from, what it looks like, and where it goes."""

    kv: Kv | None = None
    database: Database | None = None
    static: Static | None = None
    lease: Lease | None = None
    format: Literal["raw", "json", "dotenv"] | None = None
    template: Text | None = None
    decode: Literal["base64"] | None = None
    trailing_newline: Literal["keep", "strip", "add"] | None = None
    services: dict[ServiceName, Service] = {}
    max_age: Duration | None = None


class TreeKv(_Model):
    """A KV v2 prefix."""

    mount: VaultPath
    prefix: Text


class Tree(_Model):
    """Many secrets below one prefix."""

    kv: TreeKv
    name: Text
    format: Literal["raw", "json", "dotenv"] | None = None
    field: Text | None = None
    max_secrets: Count = 500


class Document(_Model):
    """The whole file."""

    instance: Name = "default"
    vault: Vault
    docker: Docker = Docker()
    poll: Poll = Poll()
    rollout: Rollout = Rollout()
    limits: Limits | None = None
    retain: Retain = Retain()
    discovery: Discovery | None = None
    http: Http | None = None
    notify: list[Notify] = []
    secrets: dict[Name, Secret] = {}
    trees: list[Tree] = []


def json_schema() -> dict[str, Any]:
    """Return the configuration's JSON Schema, for editors."""
    schema = Document.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "vault-bridge",
        "description": "Configuration of vault-swarm-bridge",
    }


def keys_at(place: tuple[str | int, ...]) -> list[str]:
    """Return the keys that may stand at a place, for suggestions; empty where any may."""
    schema = Document.model_json_schema()
    found = [schema]
    for part in place:
        found = [
            child for node in found for child in _children(node, part) if isinstance(child, dict)
        ]
        found = [node for child in found for node in _resolved(schema, child)]
    return sorted({key for node in found for key in node.get("properties", {})})


def _children(node: dict[str, Any], part: str | int) -> list[Any]:
    if isinstance(part, int):
        return [node.get("items")]
    return [node.get("properties", {}).get(part) or node.get("additionalProperties")]


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return [schema["$defs"][node["$ref"].rsplit("/", 1)[1]]]
    options = node.get("anyOf") or node.get("oneOf")
    if options:
        return [found for option in options for found in _resolved(schema, option)]
    return [node]
