"""The part of the configuration about secrets: where each comes from, and where it goes."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, create_model

from bridge.keys.base import Model, Text
from bridge.keys.values import (
    Count,
    Digits,
    Duration,
    MaxAge,
    Mode,
    Percent,
    ServiceName,
    Target,
    VaultPath,
)
from bridge.sources.kind import AnyKind


class RotateOn(Model):
    """A KV path whose new version asks for a new generation."""

    mount: VaultPath
    """Mount of the KV v2 engine."""
    path: VaultPath
    """Path below it."""


class Lease(Model):
    """When a leased credential is replaced and how the former one ends."""

    rotate_before: Percent | None = None
    """Part of the lease's longest time that must be left when a new generation is made. Absent: a
    third."""
    rotate_every: Duration | None = None
    """Age at which a generation is replaced."""
    rotate_on: RotateOn | None = None
    """A KV path; each new version there asks for a new generation."""
    grace: Duration = 30.0
    """How long the former credential stays valid once nothing uses it any more."""
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
    """One secret, besides where it comes from: see ``secret_model``."""

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
    max_age: MaxAge | None = None
    """How old the version in use may become, counted from when Vault made it; the bridge reports an
    older one as overdue for rotation, and does nothing else. `never`: no limit. Absent: the
    `max_age` of the top."""


@cache
def secret_model(kinds: tuple[AnyKind, ...]) -> type[Secret]:
    """Return the model of a secret, with a key for each kind of source that there is."""
    sources: dict[str, Any] = {
        kind.key: (kind.section | None, Field(default=None, description=kind.describes))
        for kind in kinds
    }
    origins = create_model("Origins", __base__=Model, **sources)
    keys = " and ".join((", ".join(f"`{kind.key}`" for kind in kinds[:-1]), f"`{kinds[-1].key}`"))
    doc = (
        "One secret: where it comes from, what it looks like, and where it goes.\n\n"
        f"Exactly one of {keys} says where it comes from."
    )
    # Fields are taken from the last base on, so the keys of the kinds come first, as people write.
    bases: Any = (Secret, origins)
    model: Any = create_model("Secret", __base__=bases, __doc__=doc)
    return cast("type[Secret]", model)


def origin_of(secret: Secret, kinds: tuple[AnyKind, ...]) -> tuple[AnyKind, Model]:
    """Return the kind that a secret is from, and its section.

    Raises:
        LookupError: It names none, which the rules between keys report.
    """
    for kind in kinds:
        section = getattr(secret, kind.key)
        if section is not None:
            return kind, section
    raise LookupError("no kind")


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
