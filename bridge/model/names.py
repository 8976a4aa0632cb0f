"""Names of Docker secrets and configs, which are unique regardless of case."""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from functools import lru_cache

from bridge.model.identity import Identity
from bridge.model.labels import PREFIX, source_label

_MOST = 64
"""Characters that Docker allows in the name of a secret or a config."""

MAX_NAME = 52
"""Longest name of a secret: ``_MOST`` less ``_v``, 5 digits and a suffix."""

MAX_INSTANCE = 40
"""Longest name of an instance, which is part of ``vault-bridge.<instance>.leader``."""

_SUFFIX = 4
_SUFFIXES = 3

_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?")
_VERSION = re.compile(r"_v\d+\Z")


def is_valid_name(name: str) -> bool:
    """Return whether a secret may have this name: Docker's characters, and room for suffixes."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def names_of(name: str, identity: Identity, remade: int = 0) -> tuple[str, ...]:
    """Return the names that the Docker secret of a version may get, the first free one first.

    That is ``db_password_v7``, or ``db_password_v7_k3qz`` where the plain name is taken by another
    content. The suffix is a digest of the identity. As it is short it may be taken too, hence there
    are several. What a Docker secret holds is in its labels, and never concluded from its name.

    Args:
        remade: Which copy of the version it is, see ``Mirror.remade``. Copies always have a suffix.
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
    """Return a digest in lower-case letters and digits, since case does not tell names apart."""
    return b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()


def is_hand_made(name: str, docker_name: str) -> bool:
    """Return whether a Docker secret is named as those that people rotate by hand."""
    return name in names_by_hand(docker_name)


@lru_cache(maxsize=16_384)
def names_by_hand(docker_name: str) -> tuple[str, ...]:
    """Return the names of which a Docker secret may be a version that people rotate by hand.

    That is the whole name, and what is left of it without ``_vN``.
    """
    version = _VERSION.search(docker_name)
    return (docker_name, docker_name[: version.start()]) if version else (docker_name,)


def state_config_name(instance: str) -> str:
    """Return the name of the Docker config that keeps the wishes and verdicts of an instance."""
    return f"{PREFIX}{instance}.state"
