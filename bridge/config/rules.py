"""What a schema of single keys cannot say: rules between keys, and what is not built yet.

They look at the raw data with patience, so that they speak up beside the schema's own complaints
and the user sees every mistake at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.config.plain_yaml import Key
from bridge.config.yaml_file import Source
from bridge.errors import Problem
from bridge.keys.durations import duration, duration_text
from bridge.keys.values import docker_host, is_plain_and_remote
from bridge.model.service import place_of, short_target
from bridge.model.settings import is_loopback, listen_address
from bridge.model.window import Window
from bridge.sources import kinds
from bridge.sources.kind import AnyKind

_NOT_BUILT_KEYS: tuple[tuple[str, ...], ...] = (
    ("rollout", "canary"),
    ("discovery",),
    ("trees",),
)


def is_built(place: tuple[str, ...]) -> bool:
    """Return whether this version can do what a key asks for.

    Args:
        place: The key from the top, ``*`` for any name.
    """
    return not any(place[: len(pattern)] == pattern for pattern in _NOT_BUILT_KEYS)


def not_built(source: Source) -> list[tuple[Key, Problem]]:
    """Return what the file asks for that this version of the bridge cannot do."""
    return [
        (key, source.problem(key, "known, but not built yet in this version"))
        for pattern in _NOT_BUILT_KEYS
        for key, _ in _matches(source.data, pattern)
    ]


def contradictions(source: Source) -> list[Problem]:
    """Return the mistakes that lie between keys."""
    return [source.problem(key, message) for rule in _RULES for key, message in rule(source.data)]


def doubts(source: Source, address: str) -> tuple[str, ...]:
    """Return what is allowed and probably not meant."""
    found: list[tuple[Key, str]] = []
    if is_plain_and_remote(address):
        message = "tokens and values cross the network in clear text: use https://"
        found.append((("vault", "address"), message))
    if not _mapping(source.data.get("secrets")):
        found.append((("secrets",), "no secret is named, so there is nothing to do"))
    found += _differing(source.data)
    found += _exposed(source.data)
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


def _exposed(data: dict[str, Any]) -> Found:
    http = _mapping(data.get("http"))
    try:
        host, _ = listen_address(str(http.get("listen", "")))
    except ValueError:
        return
    if is_loopback(host):
        return
    if "token_file" not in http:
        message = (
            "whoever reaches this port sees the names of secrets and services, and no value:"
            " set `http.token_file`, or listen on this machine alone, as in :9180"
        )
        yield ("http", "listen"), message
    elif "cert_file" not in http:
        message = "the token crosses the network in clear text: set `http.cert_file` and `key_file`"
        yield ("http", "listen"), message


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
    yield from _pair("docker", docker)


def _http(data: dict[str, Any]) -> Found:
    yield from _pair("http", _mapping(data.get("http")))


def _pair(section: str, given: dict[str, Any]) -> Found:
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if one in given and other not in given:
            yield (section, one), f"it needs `{other}` beside it"


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


def _given(secret: object) -> list[AnyKind]:
    """Return the kinds of sources that a secret names; a key with nothing below it is absent."""
    return [kind for kind in kinds.KINDS if _mapping(secret).get(kind.key) is not None]


def _origins(data: dict[str, Any]) -> Found:
    known = ", ".join(f"`{kind.key}`" for kind in kinds.KINDS)
    for name, secret in _mapping(data.get("secrets")).items():
        given = [kind.key for kind in _given(secret)]
        if len(given) != 1:
            what = f"found {' and '.join(given)}" if given else "none is given"
            yield ("secrets", name), f"exactly one of {known} is needed; {what}"


def _kinds(data: dict[str, Any]) -> Found:
    """Ask the kind of source of each secret what is wrong between its keys, and between secrets.

    Where several are named, the first is asked: what they say of one content would contradict.
    """
    by_kind: dict[str, dict[str, dict[str, Any]]] = {kind.key: {} for kind in kinds.KINDS}
    for name, secret in _mapping(data.get("secrets")).items():
        for kind in _given(secret)[:1]:
            by_kind[kind.key][name] = secret
            yield from kind.mistakes(name, secret, data)
    for kind in kinds.KINDS:
        yield from kind.conflicts(by_kind[kind.key])


def _lease_rules(data: dict[str, Any]) -> Found:
    leased = " and ".join(f"`{kind.key}`" for kind in kinds.KINDS if kind.noun.leased)
    for name, secret in _mapping(data.get("secrets")).items():
        given = _given(secret)
        if "lease" in _mapping(secret) and given and not any(kind.noun.leased for kind in given):
            message = f"a version from `{given[0].key}` has no lease: this is for {leased}"
            yield ("secrets", name, "lease"), message


def _ages(data: dict[str, Any]) -> Found:
    """Compare ``max_age`` with ``rotate_every``, which says when a credential is replaced."""
    default = data.get("max_age")
    for name, secret in _mapping(data.get("secrets")).items():
        own = _mapping(secret).get("max_age")
        every = _seconds(_mapping(_mapping(secret).get("lease")).get("rotate_every"))
        allowed = _seconds(default if own is None else own)
        if every is not None and allowed is not None and allowed < every:
            message = (
                f"longer than `max_age: {duration_text(allowed)}`, so each generation would be"
                " overdue before it is replaced: shorten this, or give the secret a longer"
                " `max_age`"
            )
            yield ("secrets", name, "lease", "rotate_every"), message


def _seconds(value: object) -> float | None:
    try:
        return duration(value)
    except ValueError:
        return None


class _Files:
    """The files of one service, by where they are, and by each folder that they are in."""

    def __init__(self) -> None:
        self._by_place: dict[str, tuple[int, str, str]] = {}
        self._by_folder: dict[str, tuple[int, str, str]] = {}
        self._count = 0

    def in_the_way(self, target: str) -> tuple[str, str] | None:
        """Return secret and target of the first file that a container cannot have besides."""
        place = place_of(target)
        folders = (self._by_place.get(folder) for folder in _folders_of(place))
        found = (self._by_place.get(place), self._by_folder.get(place), *folders)
        first = min(filter(None, found), default=None)
        return first and first[1:]

    def add(self, secret: str, target: str) -> None:
        place, file = place_of(target), (self._count, secret, target)
        self._count += 1
        self._by_place.setdefault(place, file)
        for folder in _folders_of(place):
            self._by_folder.setdefault(folder, file)


def _folders_of(place: str) -> Iterator[str]:
    while place := place.rpartition("/")[0]:
        yield place


def _targets(data: dict[str, Any]) -> Found:
    taken: dict[str, _Files] = {}
    for name, secret in _mapping(data.get("secrets")).items():
        for service, files in _mapping(_mapping(secret).get("services")).items():
            for place, file in enumerate(files if isinstance(files, list) else [files]):
                target = _mapping(file).get("target", name)
                if not isinstance(target, str):
                    continue
                at = (place, "target") if isinstance(files, list) else ("target",)
                others = taken.setdefault(service, _Files())
                if other := others.in_the_way(target):
                    message = _both(service, target, *other, name)
                    yield ("secrets", name, "services", service, *at), message
                others.add(name, target)


def _both(service: str, target: str, other: str, known: str, name: str) -> str:
    if short_target(target) != short_target(known):
        what = "a file cannot be a folder too"
        return f"`{other}` has the target {known} in {service}, and {what}"
    if other == name:
        return "this target is given twice: change one; without `target` it is the secret's name"
    return f"`{other}` has this target in {service} too; give one of them another `target`"


_RULES = (_docker, _http, _windows, _names, _origins, _kinds, _lease_rules, _ages, _targets)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _matches(data: object, pattern: tuple[str, ...], at: Key = ()) -> Iterator[tuple[Key, Any]]:
    if not pattern:
        yield at, data
        return
    here = _mapping(data)
    for key in here if pattern[0] == "*" else [pattern[0]] if pattern[0] in here else []:
        yield from _matches(here[key], pattern[1:], (*at, key))
