"""Says what is wrong with a configuration where it runs, and how to mend it; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import ceil
from typing import Any

from bridge.config.values import duration_text
from bridge.decide.custody import RENEW_AT
from bridge.decide.target import current_of, missing_service
from bridge.errors import BridgeError, Exit, SwarmUnreachable, VaultError, VaultRefused
from bridge.model.desired import DatabaseRole, Desired, KvPath, Source, StaticRoles
from bridge.model.generation import RoleDocument, StaticDocument
from bridge.model.naming import Identity, is_hand_made, timestamp
from bridge.model.reasons import Reason
from bridge.model.settings import Auth, Settings, VaultSettings
from bridge.model.world import Document, KvDocument, Service, SwarmView, Unreadable
from bridge.observe import look_at_swarm, look_at_vault
from bridge.report.advice import advice, pinned_by
from bridge.report.policy import (
    CAPABILITIES,
    LOOKUP_SELF,
    NAME,
    Rule,
    needed_lease_rules,
    own_rules,
    rules_for,
)
from bridge.report.status import CREDENTIAL_SOON
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault

Json = dict[str, Any]


_MINUTES = 120.0
"""Seconds from which times are said in whole minutes."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        where: The part of the configuration, or the server.
        code: What it means for the exit code.
    """

    level: Level
    where: str
    message: str
    code: Exit = Exit.DONE

    def json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {key: value for key, value in asdict(self).items() if key != "code"}


def check(desired: Desired, settings: Settings, now: float) -> Iterator[Finding]:
    """Check the servers against the configuration; one finding after the other."""
    count = len(desired.secrets)
    yield Finding(Level.OK, "configuration", f"{count} secret{'s' * (count != 1)}")
    vault = Vault(settings.vault)
    try:
        yield from _check_vault(vault, desired, settings, now)
    finally:
        vault.close()
    swarm = Swarm(settings.docker)
    try:
        yield from _check_swarm(swarm, desired, settings, now)
    finally:
        swarm.close()


def _check_vault(
    vault: Vault, desired: Desired, settings: Settings, now: float
) -> Iterator[Finding]:
    address = settings.vault.address
    try:
        health = vault.health()
        if health.get("sealed"):
            yield Finding(Level.ERROR, "vault", f"{address} is sealed: unseal it", Exit.UNREACHABLE)
            return
        vault.login()
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    view = look_at_vault(vault, desired, now)
    unreadable = [seen for seen in view.paths.values() if isinstance(seen, Unreadable)]
    away = [seen.message for seen in unreadable if seen.away]
    if away and len(away) == len(view.paths):
        yield Finding(Level.ERROR, "vault", away[0], Exit.UNREACHABLE)
        return
    yield Finding(Level.OK, "vault", f"{address} answers and takes our credential")
    yield from _check_own_token(vault, settings.vault.auth)
    yield from _check_credential(vault, now)
    for source, seen in view.paths.items():
        yield from _check_source(vault, source, seen, desired, now)
    if any(isinstance(s.source, DatabaseRole) or s.content.lease for s in desired.secrets):
        yield from _check_leases(vault, desired, settings.vault)


def _check_source(
    vault: Vault, source: Source, seen: Document | Unreadable, desired: Desired, now: float
) -> Iterator[Finding]:
    where = ", ".join(f"secrets.{s.name}" for s in desired.secrets if s.source == source)
    if isinstance(seen, Unreadable) and not where and seen.reason == Reason.PATH_MISSING:
        message = f"{seen.message} yet: writing it asks for the first rotation"
        yield Finding(Level.NOTE, _asking(source, desired), message)
    elif isinstance(seen, Unreadable):
        message = f"{seen.reason}: {seen.message}"
        if seen.reason == Reason.PERMISSION_DENIED:
            message += _to_grant(*rules_for(source)[: None if where else 1])
        yield Finding(Level.ERROR, where or _asking(source, desired), message, Exit.HELD)
    elif isinstance(seen, RoleDocument):
        yield from check_role(source, seen, desired)
    elif isinstance(source, StaticRoles) and isinstance(seen, StaticDocument):
        yield from check_static(source, seen, desired)
        yield from _check_rules(vault, where, rules_for(source))
    elif where and isinstance(source, KvPath) and isinstance(seen, KvDocument):
        yield from _check_version(source, where, seen, now)
        yield from _check_read(vault, source, where)


def _asking(source: Source, desired: Desired) -> str:
    """Name the keys of a path that is watched for requests only."""
    asking = (s.name for s in desired.secrets if s.lease.rotate_on == source)
    return ", ".join(f"secrets.{name}.lease.rotate_on" for name in asking)


OUTAGE = 900.0
"""Seconds for which Vault or the bridge may be away without a credential's end."""


def check_role(source: Source, role: RoleDocument, desired: Desired) -> Iterator[Finding]:
    """Say whether a role's leases live long enough for a roll and an outage.

    A lease is renewed when two thirds of it are left, so that much is sure to be left at any time.
    """
    timeout = desired.rollout.timeout
    for secret in desired.secrets:
        if secret.source != source:
            continue
        where = f"secrets.{secret.name}"
        least = (timeout + OUTAGE) / RENEW_AT
        left = secret.lease.rotate_before * role.max_ttl
        if role.default_ttl < least:
            message = (
                f"leases of {source} live {_time(role.default_ttl)}, and two thirds must outlast"
                f" a roll (rollout.timeout, {_time(timeout)}) and an outage ({_time(OUTAGE)}): set"
                f" the role's `default_ttl` to {_time(least)} or more"
            )
            yield Finding(Level.ERROR, where, message, Exit.HELD)
        elif left < 2 * timeout:
            message = (
                f"a new generation is made when {_time(left)} of {_time(role.max_ttl)} are left"
                f" (lease.rotate_before), which is less than two rolls ({_time(2 * timeout)}): set"
                " the role's `max_ttl` higher, or `rotate_before`"
            )
            yield Finding(Level.ERROR, where, message, Exit.HELD)
        else:
            message = (
                f"{source} gives {_time(role.default_ttl)} at a time, {_time(role.max_ttl)} at most"
            )
            yield Finding(Level.OK, where, message)


def check_static(source: StaticRoles, seen: StaticDocument, desired: Desired) -> Iterator[Finding]:
    """Say whether the old and the new password can be valid together."""
    timeout = desired.rollout.timeout
    for secret in (secret for secret in desired.secrets if secret.source == source):
        where, rules = f"secrets.{secret.name}", secret.lease
        if len(source.roles) == 1:
            message = (
                f"{source.roles[0]} is alone, so its old password ends as its new one is made: new"
                " logins fail until each task is replaced; name a second static role"
            )
            yield Finding(Level.WARNING, where, message)
            continue
        for name, role in seen.roles.items():
            left = rules.rotate_before * role.period
            if role.period and role.period < (rules.rotate_every or 0):
                message = (
                    f"Vault rotates {name} each {_time(role.period)} by itself, before"
                    f" lease.rotate_every ({_time(rules.rotate_every or 0)}): the password in use"
                    " would end in between; set its `rotation_period` much higher"
                )
            elif role.period and left < 2 * timeout + OUTAGE:
                message = (
                    f"Vault rotates {name} each {_time(role.period)} by itself, and {_time(left)}"
                    " of that (lease.rotate_before) are too little for two rolls and an outage:"
                    " set its `rotation_period` much higher"
                )
            else:
                period = f"each {_time(role.period)}" if role.period else "by a schedule"
                message = f"{name}: Vault rotates it {period} by itself, the bridge before that"
                yield Finding(Level.OK, where, message)
                continue
            yield Finding(Level.ERROR, where, message, Exit.HELD)


def _time(seconds: float) -> str:
    return duration_text(float(ceil(seconds / 60) * 60 if seconds > _MINUTES else ceil(seconds)))


def _check_leases(vault: Vault, desired: Desired, settings: VaultSettings) -> Iterator[Finding]:
    """Say whether our token may keep leases, and whether custody can outlive it."""
    try:
        own = vault.own_token()
    except VaultRefused:
        return
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    if own.get("type") == "batch":
        message = (
            "our token is a batch token, which makes no other and has no accessor: set"
            " `token_type=service` on the role that we log in with"
        )
        yield Finding(Level.ERROR, "vault", message, Exit.HELD)
    elif settings.custody is None and own and not own.get("period"):
        message = (
            "without `vault.custody` each credential hangs on a login of its own, which ends with"
            f" its lease of {_time(float(own.get('ttl') or 0))}: set `token_period` on the role, or"
            " better `vault.custody.token_role`"
        )
        yield Finding(Level.ERROR, "vault", message, Exit.HELD)
    yield from _check_rules(vault, "vault", needed_lease_rules(desired, settings))


def _check_rules(vault: Vault, where: str, rules: tuple[Rule, ...]) -> Iterator[Finding]:
    try:
        granted = vault.capabilities([rule.path for rule in rules])
    except VaultRefused:
        return
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    for rule in rules:
        if not {*rule.capabilities, "root"} & set(granted[rule.path]):
            message = f"our token may not {rule.why}"
            yield Finding(Level.ERROR, where, message + _to_grant(rule), Exit.HELD)


def _check_own_token(vault: Vault, auth: Auth) -> Iterator[Finding]:
    try:
        if not vault.may_look_at_itself():
            message = "our token may not look itself up: a forbidden path looks like a dead token"
            yield Finding(Level.WARNING, "vault", message + _to_grant(LOOKUP_SELF))
        rules = [rule for rule in own_rules(auth, vault.role or NAME) if rule != LOOKUP_SELF]
        granted = vault.capabilities([rule.path for rule in rules])
    except VaultRefused:
        return  # each path's own check says it
    except VaultError as error:
        yield Finding(Level.ERROR, "vault", str(error), Exit.UNREACHABLE)
        return
    for rule in rules:
        if not {*rule.capabilities, "root"} & set(granted[rule.path]):
            message = f"our token lacks what is needed to {rule.why}"
            yield Finding(Level.WARNING, "vault", message + _to_grant(rule))


def _check_credential(vault: Vault, now: float) -> Iterator[Finding]:
    try:
        ends = vault.credential_end()
    except VaultError:
        return  # it was said above
    if ends is not None and ends - now < CREDENTIAL_SOON:
        message = f"our secret id ends at {timestamp(ends)}: put a fresh one into its file"
        yield Finding(Level.WARNING, "vault", message)


def _check_version(path: KvPath, where: str, seen: KvDocument, now: float) -> Iterator[Finding]:
    found = current_of(path, seen, now)
    if isinstance(found, Identity):
        message = f"{path} is at version {found.version}; its content is judged when it is mirrored"
        yield Finding(Level.OK, where, message)
    else:
        reason, message = found
        yield Finding(Level.ERROR, where, f"{reason}: {message}", Exit.HELD)


def _check_read(vault: Vault, path: KvPath, where: str) -> Iterator[Finding]:
    _, read = rules_for(path)
    try:
        capabilities = vault.capabilities([read.path])[read.path]
    except VaultRefused as error:
        yield Finding(Level.WARNING, where, f"{error}{_to_grant(CAPABILITIES)}")
        return
    except VaultError as error:
        yield Finding(Level.ERROR, where, str(error), Exit.UNREACHABLE)
        return
    if not {"read", "root"} & set(capabilities):
        message = f"our token sees the versions of {path} and may not read them"
        yield Finding(Level.ERROR, where, message + _to_grant(read), Exit.HELD)


def _to_grant(*rules: Rule) -> str:
    return "; add to its policy (`vault-bridge policy` prints it whole):" + "".join(
        f"\n  {rule.hcl}" for rule in rules
    )


def _check_swarm(
    swarm: Swarm, desired: Desired, settings: Settings, now: float
) -> Iterator[Finding]:
    host = settings.docker.host
    try:
        control = swarm.info().get("Swarm") or {}
        if control.get("LocalNodeState") != "active" or not control.get("ControlAvailable"):
            raise SwarmUnreachable(
                f"the engine at {host} is not a swarm manager",
                hint="run `docker swarm init`, or set `docker.host` to a manager",
            )
        engine = swarm.version()
        locked = swarm.autolock()
        view = look_at_swarm(swarm, desired.instance, now)
        services = {raw["ID"]: raw for raw in swarm.services()}
        images = {image: swarm.image(image) for image in set(map(_image, services.values()))}
    except BridgeError as error:
        yield Finding(Level.ERROR, "docker", str(error), Exit.UNREACHABLE)
        return
    version, api = engine.get("Version"), engine.get("ApiVersion")
    yield Finding(Level.OK, "docker", f"{host} is a swarm manager, engine {version}, API {api}")
    if not locked:
        yield Finding(
            Level.NOTE,
            "docker",
            "the managers keep the key to all Docker secrets unprotected on their disks;"
            " `docker swarm update --autolock=true` asks for one at each start",
        )
    yield from _check_verdicts(desired, view)
    yield from _check_services(desired, view, services, images)


def _check_verdicts(desired: Desired, view: SwarmView) -> Iterator[Finding]:
    for secret in desired.secrets:
        verdict = view.verdicts.get(secret.name)
        if verdict and verdict.shape == secret.content.shape:
            message = f"{verdict.reason}: version {verdict.identity.version}: {verdict.message}"
            yield Finding(Level.ERROR, f"secrets.{secret.name}", message, Exit.HELD)


def _check_services(
    desired: Desired, view: SwarmView, services: Mapping[str, Json], images: Mapping[str, Any]
) -> Iterator[Finding]:
    advised: set[str] = set()
    for secret in desired.secrets:
        for mapping in secret.services:
            where = f"secrets.{secret.name}.services.{mapping.service}"
            service = view.service_by_name.get(mapping.service)
            raw = services.get(service.id) if service else None
            if service is None or raw is None:
                message = missing_service(mapping.service, view)
                yield Finding(Level.ERROR, where, message, Exit.HELD)
                continue
            yield from _check_mapping(secret.name, where, service, raw, view)
            if service.id not in advised and not service.reruns:
                advised.add(service.id)
                for words in advice(raw, images.get(_image(raw))):
                    yield Finding(Level.WARNING, service.name, words)


def _check_mapping(
    name: str, where: str, service: Service, raw: Json, view: SwarmView
) -> Iterator[Finding]:
    if service.reruns:
        message = "WouldRerun: an update would run its tasks again, so it is never rolled"
        yield Finding(Level.WARNING, where, message)
        return
    count = service.desired_tasks
    yield Finding(Level.OK, where, f"{count} task{'s' * (count != 1)}")
    ours = frozenset(
        secret.name
        for secret in view.secrets
        if is_hand_made(name, secret.name)
        or ((mirror := view.mirror_by_id.get(secret.id)) and mirror.secret == name)
    )
    stack, pinned = pinned_by(raw, ours)
    if stack and pinned:
        yield Finding(
            Level.NOTE,
            where,
            f"it was deployed by the stack {stack} with {', '.join(pinned)}: where the stack's file"
            " names a version, the next `docker stack deploy` sends it back there; let the file"
            " take the current one from `vault-bridge render`",
        )


def _image(raw: Json) -> str:
    container = raw["Spec"]["TaskTemplate"].get("ContainerSpec") or {}
    return str(container.get("Image", ""))
