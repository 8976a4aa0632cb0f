"""Identities: what tells one version of a secret from every other (I12).

Vault counts the versions of a path that was deleted and written anew from 1 again. So the name
``db_password_v1`` alone does not tell which content a Docker secret holds; the identity does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering

from bridge.model.source import Source
from bridge.model.timestamps import instant


@total_ordering
@dataclass(frozen=True, slots=True)
class Identity:
    """One version of one life of a KV v2 path, or one generation of a role's credential.

    A path has a new life each time that its metadata was deleted. "Newer" orders by the life first,
    then by the number.

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
        """The sort key; a restored snapshot may give one number twice, hence ``created``."""
        return instant(self.path_created), self.version, instant(self.created)


ONE_LIFE = "1970-01-01T00:00:00Z"
"""The ``path_created`` of every generation: a role has one life."""
