"""The name of a rotation: one version of one secret, on its way from Vault to every service.

It is the field ``rotation`` of the log, the status page, the metrics' exemplars and the evidence.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode

from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import source_label

_SUFFIX = 4


def rotation_of(instance: str, secret: str, identity: Identity) -> str:
    """Return the name of the rotation to a version, as in ``shop_db@7-k3qz``.

    It is the same for everybody who sees the swarm or Vault, at any time. ``shop_db@7`` finds it
    in a log; the suffix tells it from version 7 of another life of the path, of another source, or
    of the same name in another instance.

    A generation has its name before Vault has made its credential, so its suffix does not depend on
    when that was: generations of one source are never counted from 1 again.

    Args:
        instance: Name of the bridge's instance.
        secret: Name of the secret in the configuration.
    """
    parts = [instance, source_label(identity.source), identity.path_created]
    parts += [] if identity.path_created == ONE_LIFE else [identity.created]
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return f"{secret}@{identity.version}-{b32encode(digest).decode().lower()[:_SUFFIX]}"
