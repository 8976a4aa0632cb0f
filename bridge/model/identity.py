"""What makes a version the one that it is (I12).

A path that is deleted and written anew counts from 1 again. So ``db_password_v1`` alone does not
tell which content it holds; the identity does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering

from bridge.model.source import Source
from bridge.model.timestamps import instant


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
