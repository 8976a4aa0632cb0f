"""The least that Vault must grant for a configuration, as HCL and as commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from bridge.model.desired import Desired, KvPath
from bridge.model.settings import AppRole, Auth, CertLogin, JwtLogin, TokenFile

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

LOOKUP_SELF = Rule("auth/token/lookup-self", ("read",), "tell a dead token from a missing policy")
RENEW_SELF = Rule("auth/token/renew-self", ("update",), "keep our token alive")
CAPABILITIES = Rule(
    "sys/capabilities-self", ("update",), "let `vault-bridge check` say what is missing"
)


def own_rules(auth: Auth, role: str = NAME) -> tuple[Rule, ...]:
    """Return what our own token needs.

    Vault's ``default`` policy grants all but the last; a role without that policy needs it here.
    """
    rules = (LOOKUP_SELF, RENEW_SELF, CAPABILITIES)
    if not isinstance(auth, AppRole):
        return rules
    place = f"auth/{auth.mount}/role/{role}/secret-id/lookup"
    return (*rules, Rule(place, ("update",), "let `vault-bridge status` say when our own id ends"))


def rules_for(path: KvPath) -> tuple[Rule, Rule]:
    """Return what a KV v2 path must grant."""
    return (
        Rule(f"{path.mount}/metadata/{path.path}", ("read",), "see which versions there are"),
        Rule(f"{path.mount}/data/{path.path}", ("read",), "read a version once, to mirror it"),
    )


def rules_of(desired: Desired, auth: Auth) -> tuple[Rule, ...]:
    """Return all that a configuration needs, each path once, in its order."""
    paths = dict.fromkeys(secret.source for secret in desired.secrets)
    return (*(rule for path in paths for rule in rules_for(path)), *own_rules(auth))


def policy_hcl(desired: Desired, auth: Auth) -> str:
    """Write the policy; ``vault policy write`` takes it as it is."""
    lines = [f"# The least that vault-bridge needs for this configuration: the policy {NAME}."]
    namespaces = sorted({s.source.namespace for s in desired.secrets if s.source.namespace})
    lines += [f"# It belongs into the namespace {namespace}." for namespace in namespaces]
    lines += [f"#   {command}" for command in commands(auth)]
    lines += _aligned(rules_of(desired, auth))
    return "\n".join(lines) + "\n"


def commands(auth: Auth) -> tuple[str, ...]:
    """Return the commands that put the policy in place and give the bridge a login with it."""
    return (f"vault-bridge policy | vault policy write {NAME} -", _login_command(auth))


def _login_command(auth: Auth) -> str:
    match auth:
        case AppRole():
            return f"vault write auth/{auth.mount}/role/{NAME} {_ROLE}"
        case JwtLogin():
            claims = "role_type=jwt user_claim=sub bound_audiences=... bound_subject=..."
            return f"vault write auth/{auth.mount}/role/{auth.role} {_ROLE} {claims}"
        case CertLogin():
            return f"vault write auth/{auth.mount}/certs/{auth.role} {_ROLE} certificate=@ca.pem"
        case TokenFile():
            return f"vault token create -policy={NAME} -no-default-policy -orphan -period=24h"
        case _:
            assert_never(auth)


def _aligned(rules: Iterable[Rule]) -> list[str]:
    rules = tuple(rules)
    width = max(len(rule.hcl) for rule in rules)
    return [f"{rule.hcl:<{width}}  # {rule.why}" for rule in rules]
