"""A dynamic role: each generation is a credential of its own, with a lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bridge.model.source import Source


@dataclass(frozen=True, slots=True, order=True)
class DatabaseRole(Source):
    """A dynamic role of Vault's database engine; each generation is a credential with a lease.

    Attributes:
        role: Name of the role.
    """

    leased: ClassVar[bool] = True

    namespace: str
    mount: str
    role: str

    __str__ = Source.__str__

    @property
    def place(self) -> str:
        """Where its credentials are made."""
        return f"creds/{self.role}"

    @property
    def ui_place(self) -> tuple[str, str]:
        """The role's page."""
        return f"show/role/{self.role}", "type=dynamic"

    @property
    def label(self) -> Mapping[str, object]:
        """The role."""
        return {"role": self.role}

    @classmethod
    def from_label(
        cls, namespace: str, mount: str, label: Mapping[str, Any]
    ) -> DatabaseRole | None:
        """Read back ``label``."""
        return cls(namespace, mount, str(label["role"])) if "role" in label else None

    @property
    def role_name(self) -> str:
        """The role."""
        return self.role

    @property
    def lease_prefix(self) -> str:
        """What the id of each of its leases begins with; no other lease is ever touched."""
        return f"{self.mount}/creds/{self.role}/"

    @property
    def not_remade(self) -> str:
        """Why no generation is ever made anew."""
        return "Vault gives a leased credential out once, and it is in its Docker secret only"
