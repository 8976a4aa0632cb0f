"""Names and labels: what makes a Docker secret ours, and which Vault version it holds.

A version is its *identity* (I12): a path that is deleted and written anew counts from 1 again, so
``db_password_v1`` alone does not say which content it holds. The labels do.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b32encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import total_ordering
from typing import Any, TypeVar

from bridge.model.desired import DatabaseRole, KvPath, Source, StaticRoles

PREFIX = "vault-bridge."
GOOD = f"{PREFIX}good"
SHAPE = f"{PREFIX}shape"
REMADE = f"{PREFIX}remade"
ASIDE = f"{PREFIX}aside"
UNUSED = f"{PREFIX}unused"
ROLL = f"{PREFIX}roll."
BLOCKED = f"{PREFIX}blocked."
REFUSED = f"{PREFIX}refused."
TROUBLE = f"{PREFIX}trouble."
LEASE = f"{PREFIX}lease"
ACCESSOR = f"{PREFIX}accessor"
ROLE = f"{PREFIX}role"
USER = f"{PREFIX}user"
RETIRING = f"{PREFIX}retiring"
ENDED = f"{PREFIX}ended"
AT_ONCE = f"{PREFIX}at_once"
TRIES = f"{PREFIX}tries"
VANISHED = f"{PREFIX}vanished"
WOKEN = f"{PREFIX}woken"
"""The one label that we ever write on a service: it wakes an updater that hangs on a dead node."""

_MOST = 64
"""Characters that Docker allows in the name of a secret or a config."""

MAX_NAME = 52
"""Longest name of a secret: what is left of ``_MOST`` less ``_v``, 5 digits and a clash suffix."""

MAX_INSTANCE = 40
"""Longest name of an instance: Docker configs are named ``vault-bridge.<instance>.leader``."""

_SUFFIX = 4
_SUFFIXES = 3

_T = TypeVar("_T")

_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


def is_valid_name(name: str) -> bool:
    """Tell whether a secret may have this name: Docker's characters, and room for the suffixes."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def instant(text: str) -> int:
    """Read an RFC 3339 time as nanoseconds since the epoch.

    Vault and the engine drop trailing zeros of the fraction, so that the texts do not sort as the
    times do.

    Raises:
        ValueError: The text is not such a time.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    whole, fraction, zone = match.groups()
    seconds = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone)).timestamp()
    return int(seconds) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def moment(text: str, otherwise: float = 0.0) -> float:
    """Read a label's time as seconds since the epoch.

    Args:
        otherwise: What stands for one that somebody has damaged.
    """
    try:
        return instant(text) / 1e9
    except ValueError:
        return otherwise


def timestamp(seconds: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


@total_ordering
@dataclass(frozen=True, slots=True)
class Identity:
    """One version of one life of a path; "newer" orders by the key's creation, then the number.

    Attributes:
        path_created: Vault's ``created_time`` of the key, as Vault wrote it; ``ONE_LIFE`` for a
            generation, since a role does not begin anew.
        version: The KV v2 version number, or that of the generation.
        created: Vault's ``created_time`` of the version, or of a generation ``issue_time`` of its
            lease or ``last_vault_rotation`` of its static role, as Vault wrote it.
    """

    source: Source
    path_created: str
    version: int
    created: str

    def __lt__(self, other: Identity) -> bool:
        return self.order < other.order

    @property
    def order(self) -> tuple[int, int, int]:
        """The sort key; a restored snapshot gives one number to two contents, hence ``created``."""
        return instant(self.path_created), self.version, instant(self.created)


ONE_LIFE = "1970-01-01T00:00:00Z"


def names_of(name: str, identity: Identity, remade: int = 0) -> tuple[str, ...]:
    """Name the Docker secret of a version: ``db_password_v7``, or ``db_password_v7_k3qz``.

    The latter is for where another content has the plain name. The suffix tells this
    identity from others of the same number. One that is so short may be taken as well, hence there
    are several. What a Docker secret holds its labels say, and never its name.

    Args:
        remade: How often the version was made anew. It then has a suffix, another one each time.
    """
    plain = f"{name}_v{identity.version}"
    first = () if remade else (plain,)
    parts = [source_label(identity.source), identity.path_created, identity.created]
    parts += [f"remade {remade}"] if remade else []
    length = min(_SUFFIX, _MOST - len(plain) - 1)
    if length < 1:
        return first
    suffixes = (_short("\n".join((*parts, str(turn))))[:length] for turn in range(_SUFFIXES))
    return tuple(dict.fromkeys((*first, *(f"{plain}_{suffix}" for suffix in suffixes))))


def _short(text: str) -> str:
    """Return lower-case letters and digits, as Docker's names are the same in either case."""
    return b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()


def is_hand_made(name: str, docker_name: str) -> bool:
    """Tell whether an unlabelled Docker secret looks like one that people rotated by hand."""
    return re.fullmatch(rf"{re.escape(name)}(_v\d+)?", docker_name) is not None


def read_by_name(
    labels: Mapping[str, str], prefix: str, read: Callable[[str], _T | None]
) -> dict[str, _T]:
    """Read all labels that begin with a prefix, by what follows it; those that are damaged not."""
    found = {
        key.removeprefix(prefix): read(value)
        for key, value in labels.items()
        if key.startswith(prefix)
    }
    return {name: value for name, value in found.items() if value is not None}


def source_label(source: Source) -> str:
    """Write a source for the ``source`` label; its parts may hold any character."""
    parts: dict[str, object] = {"namespace": source.namespace, "mount": source.mount}
    match source:
        case KvPath():
            parts["path"] = source.path
        case DatabaseRole():
            parts["role"] = source.role
        case StaticRoles():
            parts["roles"] = list(source.roles)
    return json.dumps({key: value for key, value in parts.items() if value}, ensure_ascii=False)


def read_source(text: str) -> Source:
    """Read back ``source_label``; raises ``KeyError``, ``ValueError`` or ``TypeError``."""
    raw: dict[str, Any] = json.loads(text)
    place = (str(raw.get("namespace", "")), str(raw["mount"]))
    if "role" in raw:
        return DatabaseRole(*place, str(raw["role"]))
    if "roles" in raw:
        return StaticRoles(*place, tuple(str(role) for role in raw["roles"]))
    return KvPath(*place, str(raw["path"]))


def labels_of(instance: str, name: str, identity: Identity) -> dict[str, str]:
    """Write the labels that a Docker secret is made with."""
    return {
        f"{PREFIX}instance": instance,
        f"{PREFIX}secret": name,
        f"{PREFIX}version": str(identity.version),
        f"{PREFIX}source": source_label(identity.source),
        f"{PREFIX}created": identity.created,
        f"{PREFIX}path_created": identity.path_created,
    }


@dataclass(frozen=True, slots=True)
class Origin:
    """What the labels of a Docker secret say of where it came from."""

    instance: str
    secret: str
    identity: Identity


def origin_of(labels: Mapping[str, str]) -> Origin | None:
    """Read back ``labels_of``; None where the labels are absent or somebody has damaged them."""
    try:
        identity = Identity(
            read_source(labels[f"{PREFIX}source"]),
            labels[f"{PREFIX}path_created"],
            int(labels[f"{PREFIX}version"]),
            labels[f"{PREFIX}created"],
        )
        _ = identity.order
        return Origin(labels[f"{PREFIX}instance"], labels[f"{PREFIX}secret"], identity)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
