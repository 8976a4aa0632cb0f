"""Names of Docker secrets: what a version is called, and which names a secret may have."""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode

from bridge.model.identity import Identity
from bridge.model.labels import PREFIX, source_label

_MOST = 64
"""Characters that Docker allows in the name of a secret or a config."""

MAX_NAME = 52
"""Longest name of a secret: what is left of ``_MOST`` less ``_v``, 5 digits and a clash suffix."""

MAX_INSTANCE = 40
"""Longest name of an instance: Docker configs are named ``vault-bridge.<instance>.leader``."""

_SUFFIX = 4
_SUFFIXES = 3

_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?")
_VERSION = re.compile(r"_v\d+")


def is_valid_name(name: str) -> bool:
    """Tell whether a secret may have this name: Docker's characters, and room for the suffixes."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


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
    rest = docker_name.removeprefix(name)
    return docker_name.startswith(name) and (not rest or _VERSION.fullmatch(rest) is not None)


def state_config_name(instance: str) -> str:
    """Name the Docker config that keeps an instance's wishes and verdicts."""
    return f"{PREFIX}{instance}.state"
