"""A first configuration, with its comments, made from a few answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.report.policy import NAME

MOUNTED = "/run/secrets"
"""Where a task of the swarm sees its Docker secrets."""

PROXY = "unix:///run/engine/engine.sock"
"""The engine as the bridge of the stack sees it: behind the filtering proxy."""

CREDENTIALS: dict[str, tuple[tuple[str, str], ...]] = {
    "approle": (("role_id_file", "role_id"), ("secret_id_file", "secret_id")),
    "token": (("token_file", "token"),),
    "jwt": (("jwt_file", "jwt"),),
    "cert": (("cert_file", "cert"), ("key_file", "key")),
}
"""For each method of login the keys that name its files, and what these files are called."""


@dataclass(frozen=True, slots=True)
class FirstSecret:
    """A secret of the configuration.

    Attributes:
        place: Its path in KV, or the role of the database engine.
        field: The field of the path; empty for all of them as JSON.
        services: The services that are to have it.
    """

    name: str
    place: str
    field: str = ""
    services: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> FirstSecret:
        """Read ``NAME=PLACE[:FIELD][@SERVICE[,SERVICE...]]``.

        Raises:
            ValueError: It is none. Names are judged by the configuration's parser.
        """
        left, _, services = text.partition("@")
        name, _, source = left.partition("=")
        place, _, field = source.partition(":")
        if not name.strip() or not place.strip():
            raise ValueError("NAME=PLACE is needed, as in db_password=shop/db:password@shop_api")
        listed = (service.strip() for service in services.split(","))
        return cls(name.strip(), place.strip(), field.strip(), tuple(filter(None, listed)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a first configuration is made from.

    Attributes:
        method: ``approle``, ``token``, ``jwt`` or ``cert``.
        auth_mount: Where the method is mounted; empty for the place that Vault gives it.
        role: Role to log in as, for ``jwt`` and ``cert``.
        ca: File with a private CA on this machine; empty where there is none.
        stack: Whether it runs as the stack, whose files are Docker secrets.
        folder: Where the credentials' files are, where it does not.
        docker_host: The engine, where it does not run as the stack.
        mount: Where the KV engine is mounted.
        secrets: Those from KV.
        database_mount: Where the database engine is mounted.
        databases: Those that are credentials of the database engine's dynamic roles.
    """

    address: str
    namespace: str = ""
    method: str = "approle"
    auth_mount: str = ""
    role: str = NAME
    ca: str = ""
    instance: str = "default"
    stack: bool = True
    folder: str = "/etc/vault-bridge"
    docker_host: str = "unix:///var/run/docker.sock"
    mount: str = "secret"
    secrets: tuple[FirstSecret, ...] = ()
    database_mount: str = "database"
    databases: tuple[FirstSecret, ...] = ()

    def file(self, what: str) -> str:
        """Return where the bridge reads a part of its credential."""
        return f"{MOUNTED if self.stack else self.folder.rstrip('/')}/{what}"


_PLAIN = re.compile(r"(?:\./)?[A-Za-z/][\w./-]*(?:://[\w./:-]*\w)?", re.ASCII)
_WORDS_OF_YAML = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))


def scalar(text: str) -> str:
    """Write a text as YAML takes it for a text, in a line of its own or between braces."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    return f'"{"".join(map(_quoted, text))}"'


def _quoted(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


_HEAD = """\
# The configuration of vault-swarm-bridge, begun by `vault-bridge init`. No credential is in it.
# Keys behind a # show their defaults; all keys are in docs/reference/configuration.md.
# `vault-bridge check` says what is wrong, `vault-bridge plan` what would be done.
"""

_REST = """\
# poll:
#   interval: auto          # between two requests for one path of Vault
# rollout:
#   max_in_flight: 1        # services that are rolled at the same time
#   bake: 30s               # how long every task must stay up before a version counts as good
#   timeout: 10m            # without any new good task for so long, the roll has failed
#   on_failure: service     # the failing one goes back; all: those that had moved go back too
# retain:
#   versions: 2             # newest versions of each name that are kept, with the current one
#   min_age: 24h            # and none younger than this is removed
"""

_EXAMPLE = """\
secrets: {}
# secrets:
#   db_password:            # becomes the Docker secrets db_password_v1, db_password_v2, ...
#     kv: {mount: secret, path: shop/db, field: password}
#     services:
#       shop_api: {target: db_password, uid: "1000", gid: "1000", mode: "0400"}
"""


def config_text(answers: Answers) -> str:
    """Return the whole file; whether the answers can be used is for the parser to say."""
    lines = [_HEAD, f"instance: {scalar(answers.instance)}"]
    lines += ["# Two bridges of different instances on one swarm leave each other's secrets alone."]
    lines += ["", *_vault(answers), "", *_docker(answers), "", _REST, *_secrets(answers)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _vault(answers: Answers) -> Iterator[str]:
    yield "vault:"
    yield f"  address: {scalar(answers.address)}"
    if answers.namespace:
        yield f"  namespace: {scalar(answers.namespace)}   # of the login, and of all that is read"
    if answers.ca:
        place = answers.file("vault_ca") if answers.stack else answers.ca
        yield f"  ca_file: {scalar(place)}   # of the CA that Vault's certificate is from"
    yield "  auth:                     # the files are read again when they change"
    yield f"    method: {answers.method}"
    if answers.method in {"jwt", "cert"}:
        yield f"    role: {scalar(answers.role)}"
    for key, what in CREDENTIALS[answers.method]:
        yield f"    {key}: {scalar(answers.file(what))}"
    if answers.auth_mount and answers.method != "token":
        yield f"    mount: {scalar(answers.auth_mount)}"
    if answers.databases:
        yield "  custody:                  # each leased credential hangs on a token of its own"
        yield f"    token_role: {NAME}"
        yield "    # provisional_ttl: 10m  # how long one lives that was made and lost"
    yield "  # max_rps: 50             # ceiling on requests per second to Vault"


def _docker(answers: Answers) -> Iterator[str]:
    yield "docker:"
    host = PROXY if answers.stack else answers.docker_host
    why = "the filtering proxy's socket" if answers.stack else "a manager of the swarm"
    yield f"  host: {scalar(host)}   # {why}"


def _secrets(answers: Answers) -> Iterator[str]:
    if not (answers.secrets or answers.databases):
        yield _EXAMPLE
        return
    yield "secrets:                    # NAME becomes the Docker secrets NAME_v1, NAME_v2, ..."
    for secret in answers.secrets:
        field = f", field: {scalar(secret.field)}" if secret.field else ""
        place = f"mount: {scalar(answers.mount)}, path: {scalar(secret.place)}{field}"
        yield f"  {scalar(secret.name)}:"
        yield f"    kv: {{{place}}}"
        if not secret.field:
            yield "    format: json            # all fields as one JSON object; or dotenv"
        yield from _services(secret)
    for secret in answers.databases:
        place = f"mount: {scalar(answers.database_mount)}, role: {scalar(secret.place)}"
        yield f"  {scalar(secret.name)}:"
        yield f"    database: {{{place}}}   # each generation is a user of its own"
        yield "    # lease: {rotate_before: 33%, grace: 30s}"
        yield '    format: json            # {"password": ..., "username": ...}; or a template'
        yield from _services(secret)


def _services(secret: FirstSecret) -> Iterator[str]:
    if not secret.services:
        yield "    services: {}            # mirrored only, until services are named here"
        return
    yield "    services:               # {}: target, uid, gid and mode as the service has them now,"
    yield '                            # else {target: NAME, uid: "0", gid: "0", mode: "0444"}'
    for service in secret.services:
        yield f"      {scalar(service)}: {{}}"
