"""One line of a Vault policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """What one API path must grant."""

    path: str
    capabilities: tuple[str, ...]
    why: str

    def is_granted_by(self, capabilities: Iterable[str]) -> bool:
        """Return whether one of the capabilities that a token has on the path is enough."""
        return not {*self.capabilities, "root"}.isdisjoint(capabilities)

    @property
    def hcl(self) -> str:
        """Write it as a policy has it, on one line."""
        listed = ", ".join(f'"{capability}"' for capability in self.capabilities)
        path = self.path.replace("\\", "\\\\").replace('"', '\\"')
        return f'path "{path}" {{ capabilities = [{listed}] }}'


CAPABILITIES = Rule(
    "sys/capabilities-self", ("update",), "let `vault-bridge check` say what is missing"
)
