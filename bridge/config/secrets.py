"""The part of the configuration about secrets: where each comes from, and where it goes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bridge.config.base import Model, Text
from bridge.config.values import (
    Count,
    Digits,
    Duration,
    Mode,
    Percent,
    Role,
    ServiceName,
    Target,
    VaultPath,
)


class KvLease(Model):
    """The lease that a KV version's fields name."""

    id_field: Text
    """Field with the lease's id."""
    accessor_field: Text
    """Field with the accessor of the token that the lease hangs on."""
    mount: VaultPath
    """Mount of the database engine. No lease elsewhere is ever touched."""
    role: Role
    """Role whose leases these are. No lease of another is ever touched."""


class Kv(Model):
    """A path of a KV v2 engine."""

    mount: VaultPath
    """Mount of the engine, as in `secret`."""
    path: VaultPath
    """Path below the mount, as `vault kv get` takes it."""
    field: Text | None = None
    """The one field to take, for the format `raw`."""
    lease: KvLease | None = None
    """Where a pipeline writes leased credentials into KV: the lease that each version holds."""


class Database(Model):
    """A dynamic role of Vault's database engine."""

    mount: VaultPath
    """Mount of the engine."""
    role: Role
    """Name of the role."""


class Static(Model):
    """Static roles of Vault's database engine, taken in turn."""

    mount: VaultPath
    """Mount of the engine."""
    roles: Annotated[list[Role], Field(min_length=1, max_length=2)]
    """Two static roles, so that the old and the new credential are valid together; or one."""


class RotateOn(Model):
    """A KV path whose new version asks for a new generation."""

    mount: VaultPath
    """Mount of the KV v2 engine."""
    path: VaultPath
    """Path below it."""


class Lease(Model):
    """When a leased credential is replaced and how the former one ends."""

    rotate_before: Percent | None = None
    """Part of the lease's longest time that must be left when a new generation is made; a third,
    where it is not given."""
    rotate_every: Duration | None = None
    """Age at which a generation is replaced."""
    rotate_on: RotateOn | None = None
    """A KV path; each new version there asks for a new generation."""
    grace: Duration = 30.0
    """How long the former credential stays valid after nothing uses it."""
    overlap_max: Duration = 86400.0
    """How long tasks on nodes that are down keep the former credential alive."""


class Service(Model):
    """The file in the containers of one service. What is left out stays as the service has it."""

    target: Target | None = None
    """A file name or a relative path below `/run/secrets`, or an absolute path. It says which file
    is meant where the service has several; without it, the only one, or that of the secret's name.
    A new file has the secret's name."""
    uid: Digits | None = None
    """Owner, as digits in quotes. A new file has `"0"`."""
    gid: Digits | None = None
    """Group, as digits in quotes. A new file has `"0"`."""
    mode: Mode | None = None
    """Octal permission bits with their leading zero. A new file has `"0444"`."""


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


Services = Annotated[
    list[Service],
    BeforeValidator(_listed, json_schema_input_type=Service | list[Service]),
    Field(min_length=1),
]
"""The files of one service: mostly one, which is then no list."""


class Secret(Model):
    """One secret: where it comes from, what it looks like, and where it goes.

    Exactly one of `kv`, `database` and `static` says where it comes from.
    """

    kv: Kv | None = None
    """A path of a KV v2 engine: each new version is rolled out."""
    database: Database | None = None
    """A dynamic role of the database engine: the bridge owns the leases."""
    static: Static | None = None
    """Static roles of the database engine, taken in turn."""
    lease: Lease | None = None
    """For `database` and `static`: when a new generation is made and how the former one ends."""
    format: Literal["raw", "json", "dotenv"] | None = None
    """`raw` takes one field as it is and is the default; `json` and `dotenv` take all fields."""
    template: Text | None = None
    """A jinja2 template in place of a format: every field by its name, or as `fields["tls.crt"]`;
    `urlencode` for URLs."""
    decode: Literal["base64", "base64url"] | None = None
    """The field holds base64 of the bytes that are meant, in the standard or in the url-safe
    alphabet, padded or not; for the format `raw`."""
    trailing_newline: Literal["keep", "strip", "add"] | None = None
    """Newlines at the end of the content are kept (the default), stripped, or one is added."""
    template_driver: Literal["golang"] | None = None
    """Docker expands the content for each task, as with `docker secret create --template-driver`:
    `{{ env "NAME" }}`, `{{ secret "target" }}`, `{{ .Task.Slot }}`."""
    services: dict[ServiceName, Services] = {}
    """Services that get it, by their full names (`shop_api` where a stack deployed it); each with
    its file, or with a list of files where it has the secret under several targets."""
    max_age: Duration | None = None
    """An older version is shown as overdue for rotation."""


class TreeKv(Model):
    """A KV v2 prefix."""

    mount: VaultPath
    """Mount of the engine."""
    prefix: Text
    """Every path below it is a secret."""


class Tree(Model):
    """Many secrets below one prefix; services ask for them by label or reference."""

    kv: TreeKv
    """Where they are."""
    name: Text
    """Their names; `{path}` is the path below the prefix with `_` for `/`."""
    format: Literal["raw", "json", "dotenv"] | None = None
    """As for one secret."""
    field: Text | None = None
    """As for one secret."""
    max_secrets: Count = 500
    """More than these are refused."""
