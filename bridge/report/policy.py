"""The least that Vault must grant for a configuration, as HCL and as commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.model.desired import Desired, KvPath

NAME = "swarm-bridge"
"""Name of the policy and of the role in all that is printed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one API path must grant."""

    path: str
    capabilities: tuple[str, ...]
    why: str

    @property
    def hcl(self) -> str:
        """Write it as a policy has it, on one line."""
        listed = ", ".join(f'"{capability}"' for capability in self.capabilities)
        path = self.path.replace("\\", "\\\\").replace('"', '\\"')
        return f'path "{path}" {{ capabilities = [{listed}] }}'


_ROLE = f"token_policies={NAME} token_no_default_policy=true token_ttl=20m"

OWN_TOKEN = (
    Rule("auth/token/lookup-self", ("read",), "tell a dead token from a missing policy"),
    Rule("sys/capabilities-self", ("update",), "let `vault-bridge check` say what is missing"),
)
"""What Vault's ``default`` policy grants too; a role without that policy needs it here."""


def rules_for(path: KvPath) -> tuple[Rule, Rule]:
    """Return what a KV v2 path must grant."""
    return (
        Rule(f"{path.mount}/metadata/{path.path}", ("read",), "see which versions there are"),
        Rule(f"{path.mount}/data/{path.path}", ("read",), "read a version once, to mirror it"),
    )


def rules_of(desired: Desired) -> tuple[Rule, ...]:
    """Return all that a configuration needs, each path once, in its order."""
    paths = dict.fromkeys(secret.source for secret in desired.secrets)
    return (*(rule for path in paths for rule in rules_for(path)), *OWN_TOKEN)


def policy_hcl(desired: Desired) -> str:
    """Write the policy; ``vault policy write`` takes it as it is."""
    lines = [f"# The least that vault-bridge needs for this configuration: the policy {NAME}."]
    namespaces = sorted({s.source.namespace for s in desired.secrets if s.source.namespace})
    lines += [f"# It belongs into the namespace {namespace}." for namespace in namespaces]
    lines += [f"#   {command}" for command in commands()]
    lines += _aligned(rules_of(desired))
    return "\n".join(lines) + "\n"


def commands() -> tuple[str, ...]:
    """Return the commands that put the policy in place and make a role for it."""
    return (
        f"vault-bridge policy | vault policy write {NAME} -",
        f"vault write auth/approle/role/{NAME} {_ROLE}",
    )


def _aligned(rules: Iterable[Rule]) -> list[str]:
    rules = tuple(rules)
    width = max(len(rule.hcl) for rule in rules)
    return [f"{rule.hcl:<{width}}  # {rule.why}" for rule in rules]
