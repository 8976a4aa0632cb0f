"""What a schema of single keys cannot say: rules between keys, and what is not built yet.

They look at the raw data with patience, so that they speak up beside the schema's own complaints
and the user sees every mistake at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.config.source import Key, Source
from bridge.config.values import docker_host, is_plain_and_remote, without_slashes
from bridge.errors import ContentRefused, Problem
from bridge.model.content.template import fill, mistake_in
from bridge.model.service import is_in_the_way, short_target
from bridge.model.window import Window

_NOT_BUILT_KEYS: tuple[tuple[str, ...], ...] = (
    ("rollout", "canary"),
    ("discovery",),
    ("http",),
    ("notify",),
    ("trees",),
    ("secrets", "*", "max_age"),
)
_SOURCES = ("kv", "database", "static")


def is_built(place: tuple[str, ...]) -> bool:
    """Return whether this version can do what a key asks for.

    Args:
        place: The key from the top, ``*`` for any name.
    """
    return not any(place[: len(pattern)] == pattern for pattern in _NOT_BUILT_KEYS)


def not_built(source: Source) -> list[tuple[Key, Problem]]:
    """List what the file asks for that this version of the bridge cannot do."""
    return [
        (key, source.problem(key, "known, but not built yet in this version"))
        for pattern in _NOT_BUILT_KEYS
        for key, _ in _matches(source.data, pattern)
    ]


def contradictions(source: Source) -> list[Problem]:
    """List the mistakes that lie between keys."""
    return [source.problem(key, message) for rule in _RULES for key, message in rule(source.data)]


def doubts(source: Source, address: str) -> tuple[str, ...]:
    """List what is allowed and probably not meant."""
    found: list[tuple[Key, str]] = []
    if is_plain_and_remote(address):
        message = "tokens and values cross the network in clear text: use https://"
        found.append((("vault", "address"), message))
    if not _mapping(source.data.get("secrets")):
        found.append((("secrets",), "no secret is named, so there is nothing to do"))
    found += _differing(source.data)
    return tuple(str(source.problem(key, message)) for key, message in found)


Found = Iterator[tuple[Key, str]]


def _differing(data: dict[str, Any]) -> Found:
    for key, files in _matches(data, ("secrets", "*", "services", "*")):
        if not isinstance(files, list):
            continue
        fields = [{k: v for k, v in _mapping(file).items() if k != "target"} for file in files]
        if any(each != fields[-1] for each in fields):
            message = (
                "Docker gives all files of one secret in a service the uid, gid and mode of the"
                " last one: give all the same"
            )
            yield key, message


def _docker(data: dict[str, Any]) -> Found:
    docker = _mapping(data.get("docker"))
    try:
        host = docker_host(str(docker.get("host", "")))
    except ValueError:
        return
    has_tls = "ca_file" in docker or "cert_file" in docker
    if host.startswith("tcp://") and not has_tls and docker.get("plaintext") is not True:
        message = (
            "tcp:// needs `ca_file`, `cert_file` and `key_file`, or `plaintext: true` where"
            " everybody who reaches the port may do what root may"
        )
        yield ("docker", "host"), message
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if one in docker and other not in docker:
            yield ("docker", one), f"it needs `{other}` beside it"


def _windows(data: dict[str, Any]) -> Found:
    windows = _mapping(data.get("rollout")).get("windows")
    for place, window in enumerate(windows if isinstance(windows, list) else ()):
        allow, zone = _mapping(window).get("allow"), _mapping(window).get("tz", "UTC")
        if isinstance(allow, str) and isinstance(zone, str):
            try:
                Window.read(allow, zone)
            except ValueError as error:
                yield ("rollout", "windows", place), str(error)


def _names(data: dict[str, Any]) -> Found:
    first: dict[str, str] = {}
    for name in _mapping(data.get("secrets")):
        before = first.setdefault(name.lower(), name)
        if before != name:
            message = f"it differs from `{before}` only in case, which Docker takes for one name"
            yield ("secrets", name), message


def _origins(data: dict[str, Any]) -> Found:
    for name, secret in _mapping(data.get("secrets")).items():
        given = [key for key in _SOURCES if key in _mapping(secret)]
        if len(given) != 1:
            what = f"found {' and '.join(given)}" if given else "none is given"
            yield ("secrets", name), f"exactly one of `kv`, `database`, `static` is needed; {what}"


def _formats(data: dict[str, Any]) -> Found:
    for name, raw in _mapping(data.get("secrets")).items():
        secret = _mapping(raw)
        if "kv" not in secret:
            if {"database", "static"} & secret.keys():
                yield from _credential(name, secret)
            continue
        form, field = secret.get("format", "raw"), _mapping(secret["kv"]).get("field")
        if "template" in secret:
            yield from _template(name, secret, field)
            continue
        if "decode" in secret and form != "raw":
            message = f"the format `{form}` takes all fields, and `decode` is for one: use `raw`"
            yield ("secrets", name, "decode"), message
        if form == "raw" and field is None and isinstance(secret["kv"], dict):
            message = "the format `raw` needs `field`; `format: json` takes all fields"
            yield ("secrets", name, "kv", "field"), message
        elif form in {"json", "dotenv"} and field is not None:
            message = f"the format `{form}` takes all fields: leave `field` out, or use `raw`"
            yield ("secrets", name, "kv", "field"), message


def _template(name: str, secret: dict[str, Any], field: object) -> Found:
    for key in ("format", "decode"):
        if key in secret:
            yield ("secrets", name, key), "`template` says it all: leave this out"
    if field is not None:
        yield ("secrets", name, "kv", "field"), "`template` has all fields: leave this out"
    text = secret["template"]
    mistake = mistake_in(text) if isinstance(text, str) else ""
    if mistake:
        yield ("secrets", name, "template"), mistake


def _credential(name: str, secret: dict[str, Any]) -> Found:
    """A credential has a username and a password, so its content can be tried out here."""
    if "template" not in secret:
        if secret.get("format", "raw") == "raw":
            message = (
                "a credential has a `username` and a `password`: `format: json`, or `template`"
            )
            yield ("secrets", name, "format"), message
        if "decode" in secret:
            yield ("secrets", name, "decode"), "it is for one field of a KV path: leave this out"
        return
    mistakes = list(_template(name, secret, None))
    yield from mistakes
    if not mistakes and isinstance(secret["template"], str):
        try:
            fill(secret["template"], {"username": "u", "password": "p"})
        except ContentRefused as error:
            message = f"with `username` and `password`: {error.message}"
            yield ("secrets", name, "template"), message


def _leases(data: dict[str, Any]) -> Found:
    vault = _mapping(data.get("vault"))
    auth = _mapping(vault.get("auth"))
    alone = auth.get("method") == "token" or auth.get("secret_id_wrapped") is True
    for name, raw in _mapping(data.get("secrets")).items():
        secret = _mapping(raw)
        if "lease" in secret and not {"database", "static"} & secret.keys():
            message = "a version of a KV path has no lease: this is for `database` and `static`"
            yield ("secrets", name, "lease"), message
        if "lease" in _mapping(secret.get("kv")) and "custody" not in vault:
            message = (
                "their token role tells the tokens of these leases from others: name it as"
                " `vault.custody.token_role`"
            )
            yield ("secrets", name, "kv", "lease"), message
        if "database" in secret and alone and "custody" not in vault:
            message = "with this login a leased credential needs `vault.custody.token_role`"
            yield ("secrets", name, "database"), message


def _static(data: dict[str, Any]) -> Found:
    taken: dict[tuple[str, str], str] = {}
    for name, raw in _mapping(data.get("secrets")).items():
        static = _mapping(_mapping(raw).get("static"))
        roles = static.get("roles")
        mount = without_slashes(str(static.get("mount")))
        for role in (str(role).strip() for role in roles) if isinstance(roles, list) else ():
            before = taken.setdefault((mount, role), name)
            if before != name:
                message = (
                    f"`{before}` has the role {role} too, and would rotate it while this uses it"
                )
                yield ("secrets", name, "static", "roles"), message
        if isinstance(roles, list) and len({str(role).strip() for role in roles}) < len(roles):
            message = "two different roles are needed, so that both are valid together"
            yield ("secrets", name, "static", "roles"), message


def _targets(data: dict[str, Any]) -> Found:
    taken: dict[str, list[tuple[str, str]]] = {}
    for name, secret in _mapping(data.get("secrets")).items():
        for service, files in _mapping(_mapping(secret).get("services")).items():
            for place, file in enumerate(files if isinstance(files, list) else [files]):
                target = _mapping(file).get("target", name)
                if not isinstance(target, str):
                    continue
                at = (place, "target") if isinstance(files, list) else ("target",)
                others = taken.setdefault(service, [])
                for other, known in others:
                    if is_in_the_way(target, known):
                        message = _both(service, target, other, known, name)
                        yield ("secrets", name, "services", service, *at), message
                        break
                others.append((name, target))


def _both(service: str, target: str, other: str, known: str, name: str) -> str:
    if short_target(target) != short_target(known):
        what = "a file cannot be a folder too"
        return f"`{other}` has the target {known} in {service}, and {what}"
    if other == name:
        return "this target is given twice; without `target` it is the secret's name"
    return f"`{other}` has this target in {service} too; a file has one content"


_RULES = (_docker, _windows, _names, _origins, _formats, _leases, _static, _targets)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _matches(data: object, pattern: tuple[str, ...], at: Key = ()) -> Iterator[tuple[Key, Any]]:
    if not pattern:
        yield at, data
        return
    here = _mapping(data)
    for key in here if pattern[0] == "*" else [pattern[0]] if pattern[0] in here else []:
        yield from _matches(here[key], pattern[1:], (*at, key))
