"""The least that Vault must grant for a configuration, as HCL and as commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from bridge.model.desired import Desired
from bridge.model.rule import CAPABILITIES, Rule
from bridge.model.settings import AppRole, Auth, CertLogin, JwtLogin, TokenFile, VaultSettings
from bridge.model.source import Source
from bridge.report.vault_writes import VaultWrite
from bridge.sources.kinds import kind_of
from bridge.sources.units import units_of

NAME = "swarm-bridge"
"""Name of the policy and of the role in all that is printed."""

CUSTODY_NAME = f"{NAME}-custody"
"""Name of the policy of custody tokens."""


_ROLE = {"token_policies": NAME, "token_no_default_policy": "true", "token_type": "service"}
_TOKEN_ROLE = {
    "allowed_policies": CUSTODY_NAME,
    "orphan": "true",
    "renewable": "true",
    "token_type": "service",
    "token_no_default_policy": "true",
}

LOOKUP_SELF = Rule("auth/token/lookup-self", ("read",), "tell a dead token from a missing policy")
RENEW_SELF = Rule("auth/token/renew-self", ("update",), "keep our token alive")


def own_rules(auth: Auth, role: str = NAME) -> tuple[Rule, ...]:
    """Return what our own token needs.

    Vault's ``default`` policy grants all but the last; a role without that policy needs it here.
    """
    rules = (LOOKUP_SELF, RENEW_SELF, CAPABILITIES)
    if not isinstance(auth, AppRole):
        return rules
    place = f"auth/{auth.mount}/role/{role}/secret-id/lookup"
    return (*rules, Rule(place, ("update",), "let `vault-bridge status` say when our own id ends"))


def rules_for(source: Source) -> tuple[Rule, ...]:
    """Return what a source must grant; the first rule is for the look alone."""
    return kind_of(source).rules(source)


_CREATE = "auth/token/create/"


def lease_rules(vault: VaultSettings) -> tuple[Rule, ...]:
    """Return what leased credentials need besides: their leases and their custody."""
    create: tuple[Rule, ...] = ()
    if vault.custody:
        place = f"{_CREATE}{vault.custody.token_role}"
        create = (Rule(place, ("update",), "make the custody token of each credential"),)
    return (
        *create,
        Rule("auth/token/lookup-accessor", ("update",), "see that a custody is alive"),
        Rule("auth/token/renew-accessor", ("update",), "make it permanent"),
        Rule("auth/token/revoke-accessor", ("update",), "end it after its lease"),
        Rule("sys/leases/lookup", ("update",), "see that a credential is alive"),
        Rule("sys/leases/renew", ("update",), "keep it alive, and let it run out"),
        Rule("sys/leases/revoke", ("update",), "end it at once"),
    )


def signing_rules(vault: VaultSettings) -> tuple[Rule, ...]:
    """Return what signatures of the evidence need; none where it is not signed."""
    key = vault.transit
    if key is None:
        return ()
    return (
        Rule(f"{key.mount}/sign/{key.key}", ("update",), "sign the evidence"),
        Rule(f"{key.mount}/verify/{key.key}", ("update",), "let `vault-bridge evidence` verify it"),
    )


def token_role_rule(vault: VaultSettings) -> Rule | None:
    """Return what `check` needs to judge the token role of custodies; None where there is none."""
    if vault.custody is None:
        return None
    place = f"auth/token/roles/{vault.custody.token_role}"
    return Rule(place, ("read",), "let `vault-bridge check` judge the token role")


def _token_role(vault: VaultSettings) -> VaultWrite:
    assert vault.custody  # noqa: S101 - there is a token role only where it is configured
    return VaultWrite.of(f"auth/token/roles/{vault.custody.token_role}", **_TOKEN_ROLE)


def token_role_command(vault: VaultSettings) -> str:
    """Return the command that makes the token role of custodies."""
    return _token_role(vault).command


def needed_lease_rules(desired: Desired, vault: VaultSettings) -> tuple[Rule, ...]:
    """Return those that a configuration needs: where others make the credentials, no tokens."""
    if creds_rules(desired):
        return lease_rules(vault)
    if not any(secret.content.lease for secret in desired.secrets):
        return ()
    return tuple(rule for rule in lease_rules(vault) if not rule.path.startswith(_CREATE))


def creds_rules(desired: Desired) -> tuple[Rule, ...]:
    """Return what a custody token needs: to have a credential made, and nothing else."""
    sources = dict.fromkeys(secret.source for secret in desired.secrets)
    return tuple(rule for source in sources for rule in kind_of(source).custody_rules(source))


def rules_of(desired: Desired, vault: VaultSettings) -> tuple[Rule, ...]:
    """Return all that our own token needs for a configuration, each path once, in its order."""
    secrets = {secret.source for secret in desired.secrets}
    rules: list[Rule] = []
    for source in desired.sources:
        rules += rules_for(source)[: None if source in secrets else 1]
    for source in desired.sources:
        outline = kind_of(source).outline_rule(source) if source in secrets else None
        rules += (outline,) if outline else ()
    folders = {unit.folder: kind_of(unit.sources[0]) for unit in units_of(desired.sources)}
    for folder, kind in folders.items():
        rules += kind.folder_rules(folder) if folder else ()
    rules += needed_lease_rules(desired, vault)
    rules += () if vault.custody else creds_rules(desired)
    role = token_role_rule(vault) if needed_lease_rules(desired, vault) else None
    rules += (role,) if role else ()
    return (*rules, *signing_rules(vault), *own_rules(vault.auth))


def policy_hcl(desired: Desired, vault: VaultSettings) -> str:
    """Write the policy; ``vault policy write`` takes it as it is."""
    lines = [f"# The least that vault-bridge needs for this configuration: the policy {NAME}."]
    namespaces = sorted({source.namespace for source in desired.sources if source.namespace})
    lines += [f"# It belongs into the namespace {namespace}." for namespace in namespaces]
    lines += [f"#   {command}" for command in commands(desired, vault)]
    lines += _aligned(rules_of(desired, vault))
    return "\n".join(lines) + "\n"


def custody_hcl(desired: Desired, vault: VaultSettings) -> str:
    """Write the policy of custody tokens, also of those that a pipeline makes; else nothing."""
    pipelines = (s.content.lease.role for s in desired.secrets if s.content.lease)
    theirs = (rule for role in pipelines for rule in kind_of(role).custody_rules(role))
    rules = dict.fromkeys((*creds_rules(desired), *theirs))
    if not rules or not vault.custody:
        return ""
    head = f"# All that a custody token may do: the policy {CUSTODY_NAME}, on nothing else."
    return "\n".join([head, *_aligned(rules)]) + "\n"


PIPELINE_NAME = f"{NAME}-pipeline"
"""Name of the policy of a pipeline that writes leased credentials into KV."""


def pipeline_hcl(desired: Desired, vault: VaultSettings) -> str:
    """Write what a pipeline needs that writes leased credentials into KV; empty where none does.

    It reads neither the path nor, by itself, a credential: each is made by a custody token.
    """
    leased = [secret for secret in desired.secrets if secret.content.lease]
    if not leased or vault.custody is None:
        return ""
    sources = dict.fromkeys(secret.source for secret in leased)
    rules = (
        Rule(f"{_CREATE}{vault.custody.token_role}", ("update",), "make a custody token"),
        *(rule for source in sources for rule in kind_of(source).writer_rules(source)),
    )
    commands = (
        f"vault-bridge policy --pipeline | vault policy write {PIPELINE_NAME} -",
        f"vault-bridge policy --custody | vault policy write {CUSTODY_NAME} -",
        token_role_command(vault),
    )
    metas = (f"-metadata=bridge={desired.instance} -metadata=secret={s.name}" for s in leased)
    head = [
        f"# All that a pipeline needs to write leased credentials: the policy {PIPELINE_NAME}.",
        *(f"#   {command}" for command in commands),
        f"# It makes custody tokens by `vault token create -role={vault.custody.token_role}` with",
        *(f"# {meta}" for meta in metas),
    ]
    return "\n".join([*head, *_aligned(rules)]) + "\n"


def commands(desired: Desired, vault: VaultSettings) -> tuple[str, ...]:
    """Return the commands that put the policy in place and give the bridge a login with it."""
    first = f"vault-bridge policy | vault policy write {NAME} -"
    login = _login_command(vault.auth, _login_fields(desired, vault))
    if not creds_rules(desired) or vault.custody is None:
        return first, login
    return (
        first,
        f"vault-bridge policy --custody | vault policy write {CUSTODY_NAME} -",
        token_role_command(vault),
        login,
    )


def writes(desired: Desired, vault: VaultSettings) -> tuple[VaultWrite, ...]:
    """Return what the same commands write, in their order; with AppRole also where it is mounted.

    The role of another method is not in it: what it is bound to is not in the configuration.
    """
    found = [VaultWrite.of(f"{_POLICIES}{NAME}", policy=policy_hcl(desired, vault))]
    custody = custody_hcl(desired, vault)
    if custody:
        found.append(VaultWrite.of(f"{_POLICIES}{CUSTODY_NAME}", policy=custody))
    if vault.custody and creds_rules(desired):
        found.append(_token_role(vault))
    if isinstance(vault.auth, AppRole):
        found.append(VaultWrite.of(f"sys/auth/{vault.auth.mount}", type="approle"))
        fields = _login_fields(desired, vault)
        found.append(VaultWrite.of(app_role_path(vault.auth), **fields))
    return tuple(found)


_POLICIES = "sys/policies/acl/"


def app_role_path(auth: AppRole) -> str:
    """Return where our role of AppRole is."""
    return f"auth/{auth.mount}/role/{NAME}"


def _login_fields(desired: Desired, vault: VaultSettings) -> dict[str, str]:
    """Return what a role has that we log in as, whatever the method."""
    if creds_rules(desired) and vault.custody is None:
        # Each login of its own is a custody, which must not end.
        return {**_ROLE, "token_period": "24h"}
    return {**_ROLE, "token_ttl": "20m"}


def _login_command(auth: Auth, fields: dict[str, str]) -> str:
    match auth:
        case AppRole():
            return VaultWrite.of(app_role_path(auth), **fields).command
        case JwtLogin():
            claims = {"role_type": "jwt", "user_claim": "sub"}
            bound = {"bound_audiences": "...", "bound_subject": "..."}
            place = f"auth/{auth.mount}/role/{auth.role}"
            return VaultWrite.of(place, **fields, **claims, **bound).command
        case CertLogin():
            place = f"auth/{auth.mount}/certs/{auth.role}"
            return VaultWrite.of(place, **fields, certificate="@ca.pem").command
        case TokenFile():
            return f"vault token create -policy={NAME} -no-default-policy -orphan -period=24h"
        case _:
            assert_never(auth)


def _aligned(rules: Iterable[Rule]) -> list[str]:
    rules = tuple(rules)
    width = max(len(rule.hcl) for rule in rules)
    return [f"{rule.hcl:<{width}}  # {rule.why}" for rule in rules]
