"""The mistakes of a first day: each answer has what is wrong, where it is, and what to do.

The words are a table, so that they can be read one below the other, as users meet them.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.certificates import Authority
from tests.support.lab import Lab
from tests.support.proxy import Answer, Exchange, Phase


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        what, where, remedy: What the answer has, in this order of meaning. ``{line}`` is
            the configuration's file and any line of it.
        code: How ``check`` ends.
    """

    make: Callable[[Lab], None]
    what: str
    where: str
    remedy: str
    code: int = 3


def _path(lab: Lab) -> None:
    lab.secret("db", {}, kv={"path": "shop/db"})
    lab.rotate("db")


def _field(lab: Lab) -> None:
    lab.secret("db", {}, kv={"field": "passwort"})
    lab.rotate("db")


def _mount(lab: Lab) -> None:
    lab.secret("db", {}, kv={"mount": "nomount"})


def _kv_v1(lab: Lab) -> None:
    lab.vault.mount_kv(f"{lab.mount}-v1", version=1)
    lab.secret("db", {}, kv={"mount": f"{lab.mount}-v1"})


def _service(lab: Lab) -> None:
    lab.service("shop_api", replicas=1)
    lab.secret("db", {"shop_apu": {}})
    lab.rotate("db")


def _token(lab: Lab) -> None:
    lab.secret("db", {})
    lab.token_file.write_text("expired-or-revoked")


def _no_ca(lab: Lab) -> None:
    """A server whose certificate is from a private CA, which nobody named."""
    authority = Authority(lab.folder / "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("vault"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _tls(lab, f"https://127.0.0.1:{server.server_address[1]}")


def _lost_ca(lab: Lab) -> None:
    _tls(lab, "https://127.0.0.1:9", "/nonexistent/ca.pem")


def _tls(lab: Lab, address: str, ca: str = "") -> None:
    lab.secret("db", {})
    auth = {"method": "token", "token_file": str(lab.token_file)}
    lab.settings(vault={"address": address, "auth": auth} | ({"ca_file": ca} if ca else {}))


def _typo(lab: Lab) -> None:
    lab.secret("db", {"api": {"taget": "db"}})
    lab.settings(rollout={"bakee": "1s"})


def _taken(lab: Lab) -> None:
    lab.secret("one", {"api": {"target": "x"}})
    lab.secret("two", {"api": {"target": "x"}})


def _mode(lab: Lab) -> None:
    lab.secret("db", {"api": {"mode": 400}})


def _worker(lab: Lab) -> None:
    lab.secret("db", {})
    _, engine = lab.through_proxies()

    def refuse(exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.BEFORE and "/info" in exchange.path:
            raise Answer(200, b'{"Swarm": {"LocalNodeState": "active", "ControlAvailable": false}}')

    engine.hook = refuse


_FILE = "bridge.yaml:"

MISTAKES = {
    "wrong path": Mistake(
        _path,
        "PathMissing: there is nothing at {mount}/shop/db in Vault",
        _FILE + "{n}: secrets.{db}: ",
        "write a version, or correct `kv.path`",
    ),
    "wrong field": Mistake(
        _field,
        "FieldMissing: version 1 of {mount}/db: the version in Vault has no field 'passwort'",
        _FILE + "{n}: secrets.{db}.kv.field: ",
        "; correct `kv.field`, or write a version that has it",
    ),
    "wrong mount": Mistake(
        _mount,
        "MountMissing: nothing is mounted at nomount/",
        _FILE + "{n}: secrets.{db}: ",
        "correct `mount`; `vault secrets list` shows what is mounted",
    ),
    "KV version 1": Mistake(
        _kv_v1,
        "is a KV version 1 engine, which has no versions",
        _FILE + "{n}: secrets.{db}: ",
        "run `vault kv enable-versioning {mount}-v1/`",
    ),
    "service not found": Mistake(
        _service,
        "there is no service {prefix}shop_apu in the swarm",
        _FILE + "{n}: secrets.{db}.services.{prefix}shop_apu: ",
        "did you mean {prefix}shop_api?",
    ),
    "token expired": Mistake(
        _token,
        "Vault does not know our token",
        _FILE + "{n}: vault: ",
        "put a fresh one into its file",
        4,
    ),
    "typo in a key": Mistake(
        _typo,
        "unknown key",
        _FILE + "{n}: rollout.bakee: ",
        "did you mean `bake`?",
        2,
    ),
    "typo in a nested key": Mistake(
        _typo,
        "unknown key",
        _FILE + "{n}: secrets.{db}.services.{prefix}api.taget: ",
        "did you mean `target`?",
        2,
    ),
    "duplicate target": Mistake(
        _taken,
        "has this target in {prefix}api too",
        _FILE + "{n}: secrets.{prefix}two.services.{prefix}api.target: ",
        "give one of them another `target`",
        2,
    ),
    "mode: 400": Mistake(
        _mode,
        "an octal mode with its leading zero is needed",
        _FILE + "{n}: secrets.{db}.services.{prefix}api.mode: ",
        'as in "0400"; 400 could mean either',
        2,
    ),
    "no CA under TLS": Mistake(
        _no_ca,
        "its certificate is not trusted",
        _FILE + "{n}: vault: ",
        "name the file of its CA as `vault.ca_file`",
        4,
    ),
    "a ca_file that does not exist": Mistake(
        _lost_ca,
        "there is no file /nonexistent/ca.pem",
        _FILE + "{n}: vault.ca_file: ",
        "correct the path, or put the CA's certificate there",
        4,
    ),
    "not a manager": Mistake(
        _worker,
        "is not a swarm manager",
        _FILE + "{n}: docker: ",
        "run `docker swarm init`, or set `docker.host` to a manager",
        4,
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_with_what_is_wrong_where_and_what_to_do(lab: Lab, name: str) -> None:
    mistake = MISTAKES[name]
    mistake.make(lab)
    done = lab.run("check", code=mistake.code)
    said = done.stdout + done.stderr
    print(said)
    names = {"mount": lab.mount, "prefix": lab.prefix, "db": lab.name("db")}
    lines = [
        line
        for line in said.splitlines()
        if mistake.what.format(**names) in line and mistake.remedy.format(**names) in line
    ]
    assert lines, said
    before, _, after = mistake.where.partition("{n}")
    assert any(before in line and after.format(**names) in line for line in lines), said
