"""The whole configuration as pydantic models; the one place where pydantic is used.

Every key of the contract is here from the start, so that the schema does not change when its
feature is built. ``rules`` lists those that are not built yet.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from bridge.config.secrets import Secret, Tree, secret_model
from bridge.keys.base import Model, Text
from bridge.keys.durations import duration_text
from bridge.keys.values import (
    AUTO,
    Address,
    AuthMount,
    Count,
    DockerHost,
    Duration,
    Instance,
    Interval,
    Listen,
    MaxAge,
    Name,
    PollInterval,
    Role,
    Scheme,
    ServiceName,
    VaultPath,
)
from bridge.sources import kinds
from bridge.sources.kind import AnyKind


class AuthToken(Model):
    """A token that somebody else keeps fresh in a file."""

    method: Literal["token"]
    """`token`"""
    token_file: Text
    """File with the token; read again when Vault no longer accepts it."""


class AuthAppRole(Model):
    """Vault's AppRole method."""

    method: Literal["approle"]
    """`approle`"""
    role_id_file: Text
    """File with the role id; read again at each login."""
    secret_id_file: Text
    """File with the secret id; read again at each login."""
    secret_id_wrapped: bool = False
    """The file holds a response-wrapping token of the secret id. It can be opened once, so it
    serves a single start of the bridge: for a first hand-over, not for a service that restarts."""
    mount: AuthMount = "approle"
    """Where the method is mounted."""


class AuthJwt(Model):
    """Vault's JWT method."""

    method: Literal["jwt"]
    """`jwt`"""
    role: Text
    """Role to log in as."""
    jwt_file: Text
    """File with the JWT; read again at each login."""
    mount: AuthMount = "jwt"
    """Where the method is mounted."""


class AuthCert(Model):
    """Vault's TLS certificate method."""

    method: Literal["cert"]
    """`cert`"""
    role: Text
    """Role to log in as."""
    cert_file: Text
    """PEM file with our certificate."""
    key_file: Text
    """PEM file with its key."""
    mount: AuthMount = "cert"
    """Where the method is mounted."""


class Custody(Model):
    """The tokens that hold the leases of each generation."""

    token_role: Role
    """Token role that custody tokens are made with."""
    provisional_ttl: Duration = 600.0
    """Lifetime of a custody token until the swarm has stored its accessor."""


class Vault(Model):
    """Where Vault is and how to log in."""

    address: Address
    """`http(s)://host:port` without a path; or `$VAULT_ADDR`."""
    ui_address: Address | None = None
    """Address of Vault's own user interface for people, such as `https://vault.example.net`: the
    status page links to it. Absent: no links."""
    namespace: VaultPath | None = None
    """Namespace of everything that is read and of the login; or `$VAULT_NAMESPACE`."""
    ca_file: Text | None = None
    """PEM file of a private CA; or `$VAULT_CACERT`."""
    auth: Annotated[AuthToken | AuthAppRole | AuthJwt | AuthCert, Field(discriminator="method")]
    """How to log in."""
    custody: Custody | None = None
    """For leased credentials: the tokens that hold their leases."""
    max_rps: Annotated[float, Field(gt=0, strict=False)] = 50.0
    """Ceiling on requests per second to Vault."""
    max_connections: Count = 4
    """Most connections that watch Vault at the same time."""


class Docker(Model):
    """Where the swarm manager's engine is."""

    host: DockerHost = "unix:///var/run/docker.sock"
    """`unix://`, `tcp://`, or `ssh://user@host` by the ssh client's keys; or `$DOCKER_HOST`."""
    plaintext: bool = False
    """Connect to a `tcp://` host without TLS. Whoever reaches its port is as good as root there."""
    ca_file: Text | None = None
    """PEM file of the CA of a `tcp://` host."""
    cert_file: Text | None = None
    """PEM file with our certificate for it."""
    key_file: Text | None = None
    """PEM file with the certificate's key."""


class Poll(Model):
    """How often Vault is looked at."""

    interval: PollInterval = AUTO
    """Time from one request for a path of Vault to the next; longer while Vault is down. `auto`: as
    often as half of `vault.max_rps` allows, at least every 30s and at most every 1s. The bridge
    looks at the swarm when it has events, and each second while something rolls."""


class Window(Model):
    """When rolls may begin."""

    allow: Text
    """Days and times, as in `Mon-Fri 22:00-04:00`."""
    tz: Text = "UTC"
    """Time zone, as in `Europe/Berlin`."""


class Rollout(Model):
    """How carefully services are rolled."""

    max_in_flight: Count = 1
    """Most services that roll at the same time: those that have not converged yet."""
    settle: Duration = 0.0
    """Quiet time after a change, so that changes that come together roll once."""
    settle_max: Duration = 300.0
    """Longest time for which `settle` may hold a change."""
    bake: Duration = 30.0
    """How long every task must stay up on a version before it counts as good; never less than the
    service's own `monitor`."""
    timeout: Interval = 600.0
    """A roll fails after this time without any new good task."""
    on_failure: Literal["service", "all"] = "service"
    """Whether a version that failed is set aside for the failing service, or for all."""
    canary: list[ServiceName] = []
    """Services that are rolled first; the others follow after they baked."""
    windows: list[Window] = []
    """Times at which rolls may begin and new generations are made; without any, always."""


class Limits(Model):
    """How much a plan may touch without `approve`."""

    max_services: Count
    """A plan that touches more services waits for `approve`."""


class Retain(Model):
    """How many old versions stay."""

    versions: Count = 2
    """Newest versions of each name that are kept, the current one included; and as many of those
    that are not set aside."""
    min_age: Duration = 86400.0
    """No version is removed before its Docker secret is this old."""


class Discovery(Model):
    """Which services may ask for a secret by label."""

    allow_services: list[Text] = []
    """Patterns of services' names, as in `shop_*`."""


class Http(Model):
    """What is served over HTTP: `/` (the page), `/livez`, `/readyz`, `/metrics`, `/status.json`."""

    listen: Listen
    """Address to listen on. `:9180` is for this machine, or this container, alone;
    `0.0.0.0:9180` or `[::]:9180` is for all of its networks."""
    cert_file: Text | None = None
    """PEM file with a certificate and its chain, for TLS; read again when it changes."""
    key_file: Text | None = None
    """PEM file with the certificate's key."""
    token_file: Text | None = None
    """File with the token that each request must send, as `Authorization: Bearer`, or from a
    browser as the password with any user name; read again when it changes."""


class Notify(Model):
    """Who is notified of what; each entry is one receiver."""

    url_file: Text
    """File with the receiver's URL in Apprise's form (`slack://`, `mailtos://`, `jsons://`, ...),
    which also sets the format. It is a credential: the bridge reads it for each message, and shows
    it nowhere."""
    events: list[Literal["failed", "held", "lease_danger", "overdue", "recovered", "rotated"]] = []
    """Which events are sent; all, without any."""
    held_after: Duration = 600.0
    """How long a hold lasts before it is sent. A problem that exists when this bridge begins to
    lead is sent once it has lasted as long from then on."""
    min_interval: Duration = 300.0
    """Shortest time between two messages of one event with one cause; the second one has all that
    came meanwhile."""
    secrets: list[Text] = []
    """Patterns of the secrets' names, such as `shop_*`; without any, all."""
    schemes: list[Scheme] = []
    """Schemes that the URL may have, such as `slack`; without any, those of common network
    services, and none that acts on the machine itself."""
    hosts: list[Text] = []
    """Patterns of hosts that the URL may name, such as `*.example.net`; without any, all but
    link-local ones. The URL of a service with a fixed host, such as Slack, names none."""


class AuditTransit(Model):
    """The key of Vault's transit engine that signs the evidence."""

    mount: VaultPath = "transit"
    """Mount of the transit engine."""
    key: Text
    """Name of the key, preferably of the type `ed25519`."""
    every: Count = 100
    """Number of records after which Vault signs the chain."""
    interval: Interval = 3600.0
    """Time after which Vault signs it at the latest."""


class Audit(Model):
    """Evidence for auditors: a chained record of each act, in the log and in a file."""

    file: Text | None = None
    """File that records are appended to, each synced before the next act; absent: only the log."""
    on_failure: Literal["warn", "hold"] = "warn"
    """When a record cannot be written: rotations go on, or nothing begins until it can."""
    transit: AuditTransit | None = None
    """The key that signs the chain, so that nobody can write it anew unnoticed."""


class Document(Model):
    """The whole file."""

    instance: Instance = "default"
    """Name of this bridge; two bridges of different names never touch each other's secrets."""
    vault: Vault
    """Where Vault is and how to log in."""
    docker: Docker = Field(default_factory=Docker)
    """Where the swarm manager's engine is."""
    poll: Poll = Field(default_factory=Poll)
    """How often Vault is looked at."""
    rollout: Rollout = Field(default_factory=Rollout)
    """How carefully services are rolled."""
    limits: Limits | None = None
    """How much a plan may touch without `approve`."""
    retain: Retain = Field(default_factory=Retain)
    """How many old versions stay."""
    max_age: MaxAge | None = None
    """`max_age` of each secret without one of its own. Absent: `never`."""
    discovery: Discovery | None = None
    """Which services may ask for a secret by label."""
    http: Http | None = None
    """What the bridge answers over HTTP; absent: nothing."""
    audit: Audit | None = None
    """Evidence for auditors; absent: none is kept."""
    notify: list[Notify] = []
    """Who is notified of what."""
    secrets: dict[Name, Secret] = {}
    """Each secret by its name of up to 52 characters: `db_password` becomes `db_password_v1`,
    `db_password_v2`, ..."""
    trees: list[Tree] = []
    """Many secrets below one prefix."""


@cache
def document_model(known: tuple[AnyKind, ...]) -> type[Document]:
    """Return the model of the whole file, whose secrets may be of these kinds."""
    secret: Any = secret_model(known)
    return create_model(
        "Document",
        __base__=Document,
        __doc__=Document.__doc__,
        secrets=(dict[Name, secret], {}),
    )


def _schema() -> dict[str, Any]:
    return _schema_of(kinds.KINDS)


@cache
def _schema_of(known: tuple[AnyKind, ...]) -> dict[str, Any]:
    return document_model(known).model_json_schema()


def json_schema() -> dict[str, Any]:
    """Return the configuration's JSON Schema, for editors."""
    schema = copy.deepcopy(_schema())
    docs = _docstrings()
    for model in (schema, *schema["$defs"].values()):
        for name, field in model["properties"].items():
            if (model["title"], name) in docs:
                field.setdefault("description", docs[model["title"], name])
            model["properties"][name] = _as_written(field)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "vault-bridge",
        "description": "Configuration of vault-swarm-bridge.",
    }


def _docstrings() -> dict[tuple[str, str], str]:
    """Return the text below each field of the models, by the model's name and its own."""
    models, found = [Model], {}
    for model in models:  # which grows by those that are made of it
        models += model.__subclasses__()
    for module in {model.__module__ for model in models}:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
        for made in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            for field, text in pairwise(made.body):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                ):
                    said = inspect.cleandoc(str(text.value.value))
                    found[made.name, field.target.id] = said
    return found


def _as_written(field: dict[str, Any]) -> dict[str, Any]:
    """Return a field with its default as the file has it; one of a whole section says nothing."""
    field.pop("title", None)
    if "description" in field:
        field["description"] = " ".join(field["description"].split())
    default = field.get("default")
    if isinstance(default, float) and field.get("type") == "string":
        field["default"] = duration_text(default)
    elif default is None or isinstance(default, dict | list):
        field.pop("default", None)
    return dict(sorted(field.items()))


def keys_at(place: tuple[str | int, ...]) -> list[str]:
    """Return the keys that may stand at a place, for suggestions; empty where any may."""
    schema = _schema()
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
