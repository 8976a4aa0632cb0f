"""What a stack file needs to name the versions that the services have.

``docker stack deploy`` writes every service as its file says: one that names ``db_password_v1``
sends the services back there. The stack file therefore names no version itself; it takes the
current one from here, as an override file or as variables.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from bridge.errors import BridgeError, Exit
from bridge.model.desired import Desired
from bridge.model.mirror import Mirror
from bridge.model.swarm_view import SwarmView

OWN_VERSION = "3.9"
"""What the bridge's own stack has as ``version``: only files that have the same are merged."""


class AmbiguousVariable(BridgeError):
    """Two secrets' names make the same variable's name."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True)
class Names:
    """The Docker secret that each configured secret should be now.

    Attributes:
        absent: Secrets of which no version is mirrored yet, so that nothing can be named for them.
    """

    current: dict[str, Mirror]
    absent: tuple[str, ...]


def current_names(desired: Desired, swarm: SwarmView) -> Names:
    """Return the newest versions that are not set aside for any service, nor ended."""
    found: dict[str, Mirror] = {}
    for secret in desired.secrets:
        own = swarm.mirrors_of(desired.instance, secret.name)
        usable = (m for m in own if m.identity.source == secret.source and not m.asides)
        newest = next((m for m in usable if not (m.leased and m.leased.over)), None)
        if newest:
            found[secret.name] = newest
    absent = tuple(secret.name for secret in desired.secrets if secret.name not in found)
    return Names(found, absent)


def override(names: Names, compose_version: str = "") -> str:
    """Write a Compose file with the current Docker secret of each key below ``secrets``.

    Args:
        compose_version: What the stack's file has as ``version``: ``docker stack deploy`` merges
            only files that have the same, and older ones need it.
    """
    lines = [f'version: "{compose_version}"'] if compose_version else []
    lines.append("secrets:" if names.current else "secrets: {}")
    for name, mirror in names.current.items():
        lines += [f"  {name}:", "    external: true", f"    name: {mirror.docker_name}"]
    return "\n".join(lines) + "\n"


def own_configs(instance: str, configuration: bytes, rules: bytes | None) -> str:
    """Write a Compose file with names for the Docker configs of the bridge's own stack.

    A Docker config never changes, so another content needs another name; the same content keeps
    its name, and restarts nothing.

    Args:
        configuration: The configuration file. It holds no credential.
        rules: The proxy's rules; None where there are none beside it.
    """
    start = "vault-bridge_" if instance == "default" else f"vault-bridge_{instance}_"
    lines = [f'version: "{OWN_VERSION}"', "configs:"]
    for key, what, content in (("bridge", "config", configuration), ("proxy", "proxy", rules)):
        if content is not None:
            digest = hashlib.sha256(content).hexdigest()[:12]
            lines += [f"  {key}:", f"    name: {start}{what}_{digest}"]
    return "\n".join(lines) + "\n"


def variables(names: Names) -> str:
    """Write ``DB_PASSWORD_VERSION=7`` lines, for ``name: db_password_v${DB_PASSWORD_VERSION:?}``.

    Raises:
        AmbiguousVariable: Two secrets' names differ only in what a variable's name cannot have.
    """
    taken: dict[str, str] = {}
    lines: list[str] = []
    for name, mirror in names.current.items():
        variable = re.sub(r"\W", "_", f"{name}_VERSION").upper()
        variable = f"_{variable}" if variable[0].isdigit() else variable
        if taken.setdefault(variable, name) != name:
            raise AmbiguousVariable(
                f"{taken[variable]} and {name} would both be ${variable}",
                hint="use the override file, which `vault-bridge render` prints",
            )
        lines.append(f"{variable}={mirror.docker_name.removeprefix(f'{name}_v')}")
    return "".join(f"{line}\n" for line in lines)
