"""Reads the configuration into the nouns of the model; reports all mistakes in it at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.config import schema
from bridge.config.plain_yaml import Key
from bridge.config.rules import contradictions, doubts, not_built
from bridge.config.secrets import Lease, Secret, origin_of
from bridge.config.yaml_file import Source, read
from bridge.errors import ConfigError, Problem
from bridge.model.desired import (
    Content,
    Decode,
    Desired,
    DesiredSecret,
    FileFields,
    Format,
    LeaseRules,
    Retain,
    Rollout,
    TrailingNewline,
)
from bridge.model.desired import Mapping as ServiceMapping
from bridge.model.near import nearest
from bridge.model.notification import Receiver, Topic
from bridge.model.settings import (
    AppRole,
    AuditSettings,
    Auth,
    CertLogin,
    Custody,
    DockerSettings,
    HttpSettings,
    JwtLogin,
    Settings,
    TokenFile,
    TransitKey,
    VaultSettings,
    listen_address,
)
from bridge.model.window import Window
from bridge.sources import kinds
from bridge.sources.kv.source import KvPath

_ENVIRONMENT: tuple[tuple[str, str, str], ...] = (
    ("VAULT_ADDR", "vault", "address"),
    ("VAULT_NAMESPACE", "vault", "namespace"),
    ("VAULT_CACERT", "vault", "ca_file"),
    ("DOCKER_HOST", "docker", "host"),
)

_WORDS = {
    "missing": "it is needed",
    "string_type": "text is needed; put it in quotes",
    "string_too_short": "it is empty",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "bool_type": "true or false is needed, without quotes",
    "list_type": "a list is needed",
    "dict_type": "a mapping is needed",
    "model_type": "a mapping is needed",
    "model_attributes_type": "a mapping is needed",
    "union_tag_not_found": "`method` is needed: token, approle, jwt or cert",
    "union_tag_invalid": "`method` is one of token, approle, jwt, cert",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that can be used.

    Attributes:
        warnings: What is allowed and probably not meant, each with its place.
    """

    desired: Desired
    settings: Settings
    warnings: tuple[str, ...] = ()


def load(file: str, environ: Mapping[str, str]) -> Configuration:
    """Read and check a configuration file.

    Args:
        file: Its path.
        environ: Fills absent keys: ``VAULT_ADDR``, ``VAULT_NAMESPACE``, ``VAULT_CACERT``,
            ``DOCKER_HOST``.

    Raises:
        ConfigError: It cannot be used; every mistake is named, none with a value.
    """
    source = read(file)
    _drop_empty_sections(source.data)
    from_environment = _fill(source.data, environ)
    unbuilt = not_built(source)
    problems = [*source.problems, *(problem for _, problem in unbuilt), *contradictions(source)]
    model = schema.document_model(kinds.KINDS)
    document: schema.Document | None = None
    secrets: list[DesiredSecret] = []
    for part in _parts(source.data):
        try:
            document = model.model_validate(part)
        except ValidationError as error:
            problems += _translated(source, error, tuple(key for key, _ in unbuilt))
        if document and not problems:
            secrets += (_secret(*named, document) for named in document.secrets.items())
    if problems:
        raise ConfigError(tuple({_placed(p, from_environment) for p in problems})) from None
    assert document is not None  # noqa: S101 - no document is a problem
    settings = _settings(document, Path(file).absolute().parent)
    desired = _desired(document, tuple(secrets))
    return Configuration(desired, settings, doubts(source, document.vault.address))


_PART = 200
"""Secrets that are checked at once."""


def _parts(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the file in parts, each with some of its secrets and all else.

    The models of a secret take five times the memory of what is made of them.
    """
    secrets = data.get("secrets")
    if not isinstance(secrets, dict) or not secrets:
        yield data
        return
    names = iter(secrets)
    while some := list(islice(names, _PART)):
        yield data | {"secrets": {name: secrets[name] for name in some}}


def _drop_empty_sections(data: dict[str, Any]) -> None:
    """Take ``poll:`` with nothing below it as absent, as Compose does."""
    for key in [key for key, value in data.items() if value is None]:
        del data[key]
    secrets = data.get("secrets")
    for secret in secrets.values() if isinstance(secrets, dict) else ():
        services = secret.get("services") if isinstance(secret, dict) else None
        if isinstance(services, dict):
            services.update({name: {} for name, file in services.items() if file is None})
            for files in services.values():
                if isinstance(files, list):
                    files[:] = [{} if file is None else file for file in files]


def _fill(data: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Fill absent keys from the environment; returns which variable each dotted key came from."""
    filled = {}
    for variable, section, key in _ENVIRONMENT:
        value = environ.get(variable)
        if not value:
            continue
        part = data.setdefault(section, {})
        if isinstance(part, dict) and part.get(key) is None:
            part[key] = value
            filled[f"{section}.{key}"] = f"${variable}"
    return filled


def _placed(problem: Problem, from_environment: Mapping[str, str]) -> Problem:
    variable = from_environment.get(problem.key)
    return Problem(variable, 0, problem.key, problem.message) if variable else problem


def _translated(source: Source, error: ValidationError, skip: tuple[Key, ...]) -> list[Problem]:
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        key = _key(source.data, detail["loc"])
        if not any(key[: len(unbuilt)] == unbuilt for unbuilt in skip):
            found.append(source.problem(key, _words(key, detail["type"], detail)))
    return found


def _key(data: Any, location: tuple[str | int, ...]) -> Key:
    """Turn pydantic's location into the file's: union tags and ``[key]`` are not in the file."""
    key: list[str | int] = []
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if part == "[key]" or (isinstance(part, int) and not isinstance(data, list)):
            continue  # a file that is no list of files is validated as one
        if isinstance(data, dict):
            if part not in data and not is_last:
                continue
            data = data.get(str(part))
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        key.append(part)
    return tuple(key)


def _words(key: Key, kind: str, detail: Any) -> str:
    context = detail.get("ctx") or {}
    if kind == "extra_forbidden":
        known = schema.keys_at(key[:-1])
        close = nearest(str(key[-1]), known)
        if close:
            return f"unknown key; did you mean `{close}`?"
        return f"unknown key; known here: {', '.join(known)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"one of {str(context['expected']).replace(chr(39), '')} is needed"
    if kind in {"greater_than_equal", "greater_than"}:
        least = context.get("ge", context.get("gt"))
        return f"a number {'from' if 'ge' in context else 'above'} {least} is needed"
    if kind in {"too_short", "too_long"}:
        return f"{context.get('min_length', context.get('max_length'))} at {_MOST[kind]}"
    if kind == "dict_type" and key[-1:] == ("services",):
        return "a mapping of services to files is needed, as in `shop_api: {}`"
    return _WORDS.get(kind) or str(detail["msg"])


_MOST = {"too_short": "least", "too_long": "most"}


def _desired(document: schema.Document, secrets: tuple[DesiredSecret, ...]) -> Desired:
    rollout = document.rollout
    return Desired(
        instance=document.instance,
        secrets=secrets,
        rollout=Rollout(
            max_in_flight=rollout.max_in_flight,
            settle=rollout.settle,
            settle_max=rollout.settle_max,
            bake=rollout.bake,
            timeout=rollout.timeout,
            all_go_back=rollout.on_failure == "all",
            windows=tuple(Window.read(window.allow, window.tz) for window in rollout.windows),
        ),
        retain=Retain(document.retain.versions, document.retain.min_age),
        max_services=document.limits.max_services if document.limits else None,
    )


def _secret(name: str, secret: Secret, document: schema.Document) -> DesiredSecret:
    namespace = document.vault.namespace or ""
    max_age = secret.max_age or document.max_age
    kind, section = origin_of(secret, kinds.KINDS)
    return DesiredSecret(
        name=name,
        source=kind.source(section, namespace),
        content=Content(
            format=Format.TEMPLATE if secret.template else Format(secret.format or "raw"),
            template=secret.template,
            decode=Decode(secret.decode) if secret.decode else None,
            trailing_newline=TrailingNewline(secret.trailing_newline or "keep"),
            template_driver=secret.template_driver or "",
            **kind.parts(section, namespace),
        ),
        services=tuple(
            ServiceMapping(
                service, tuple(FileFields(f.target, f.uid, f.gid, f.mode) for f in files)
            )
            for service, files in secret.services.items()
        ),
        lease=_lease(secret.lease, namespace) if secret.lease else LeaseRules(),
        max_age=max_age if isinstance(max_age, float) else None,
    )


def _lease(lease: Lease, namespace: str) -> LeaseRules:
    on = lease.rotate_on
    before = LeaseRules().rotate_before if lease.rotate_before is None else lease.rotate_before
    return LeaseRules(
        before,
        lease.rotate_every,
        KvPath(namespace, on.mount, on.path) if on else None,
        lease.grace,
        lease.overlap_max,
    )


def _settings(document: schema.Document, folder: Path) -> Settings:
    """Make the settings; relative paths are meant from the configuration file's folder."""
    vault, docker = document.vault, document.docker

    def at(path: str | None) -> str:
        # Path.expanduser fails where there is no such home.
        return str(folder / os.path.expanduser(path)) if path else ""  # noqa: PTH111

    audit = _audit(document.audit, at) if document.audit else None
    return Settings(
        vault=VaultSettings(
            address=vault.address,
            auth=_auth(vault.auth, at),
            namespace=vault.namespace or "",
            ca_file=at(vault.ca_file),
            max_rps=vault.max_rps,
            max_connections=vault.max_connections,
            ui_address=vault.ui_address or "",
            custody=Custody(vault.custody.token_role, vault.custody.provisional_ttl)
            if vault.custody
            else None,
            transit=audit.transit if audit else None,
        ),
        docker=DockerSettings(
            host=docker.host,
            plaintext=docker.plaintext,
            ca_file=at(docker.ca_file),
            cert_file=at(docker.cert_file),
            key_file=at(docker.key_file),
        ),
        poll_interval=document.poll.interval if isinstance(document.poll.interval, float) else None,
        http=_http(document.http, at) if document.http else None,
        audit=audit,
        notify=tuple(_receiver(notify, at) for notify in document.notify),
    )


def _audit(audit: schema.Audit, at: Callable[[str | None], str]) -> AuditSettings:
    key, file, hold = audit.transit, at(audit.file), audit.on_failure == "hold"
    if key is None:
        return AuditSettings(file, hold)
    transit = TransitKey(mount=key.mount, key=key.key, every=key.every, interval=key.interval)
    return AuditSettings(file, hold, transit)


def _http(http: schema.Http, at: Callable[[str | None], str]) -> HttpSettings:
    host, port = listen_address(http.listen)
    return HttpSettings(
        host=host,
        port=port,
        cert_file=at(http.cert_file),
        key_file=at(http.key_file),
        token_file=at(http.token_file),
    )


def _receiver(notify: schema.Notify, at: Callable[[str], str]) -> Receiver:
    return Receiver(
        url_file=at(notify.url_file),
        events=tuple(Topic(event) for event in notify.events) or tuple(Topic),
        held_after=notify.held_after,
        min_interval=notify.min_interval,
        secrets=tuple(notify.secrets),
        schemes=tuple(notify.schemes),
        hosts=tuple(notify.hosts),
    )


def _auth(
    auth: schema.AuthToken | schema.AuthAppRole | schema.AuthJwt | schema.AuthCert,
    at: Callable[[str], str],
) -> Auth:
    match auth:
        case schema.AuthToken():
            return TokenFile(at(auth.token_file))
        case schema.AuthAppRole():
            files = at(auth.role_id_file), at(auth.secret_id_file)
            return AppRole(*files, auth.mount, auth.secret_id_wrapped)
        case schema.AuthJwt():
            return JwtLogin(auth.role, at(auth.jwt_file), auth.mount)
        case schema.AuthCert():
            return CertLogin(auth.role, at(auth.cert_file), at(auth.key_file), auth.mount)
