"""Every format, as a container reads it; what cannot be held is refused once and remembered."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import dotenv

from tests.support.lab import Lab

AWKWARD = 'it\'s 100% $HOME "quoted" é😀 line\nbreak'


def _read(lab: Lab, target: str) -> bytes:
    (text,) = lab.swarm.run(lab.name("api"), "base64", f"/run/secrets/{target}")
    return base64.b64decode(text)


def test_what_the_container_reads(lab: Lab) -> None:
    value = lab.canary()
    fields: dict[str, Any] = {"user": "shop", "password": f"{value}/@:é", "text": "two words\n"}
    lab.vault.write(lab.mount, "all", **fields)
    lab.vault.write(lab.mount, "json", awkward=AWKWARD, number=5, nested={"a": [None, True]})
    data = bytes(range(256))
    url_safe = base64.urlsafe_b64encode(data).decode().rstrip("=")
    lab.vault.write(lab.mount, "bytes", key=base64.b64encode(data).decode(), url=url_safe)
    lab.service("api", replicas=1)
    kv = {"mount": lab.mount, "path": "all"}
    for name, more in (
        ("env", {"format": "dotenv"}),
        ("dsn", {"template": "pg://{{ user | urlencode }}:{{ password | urlencode }}@db/x\n"}),
        ("bare", {"template": "{{ text }}", "trailing_newline": "strip"}),
    ):
        lab.secret(name, {"api": {"target": name}}, kv=kv, **more)
    lab.secret("json", {"api": {"target": "json"}}, format="json")
    key = {"mount": lab.mount, "path": "bytes", "field": "key"}
    lab.secret("bytes", {"api": {"target": "bytes"}}, kv=key, decode="base64")
    url = {**key, "field": "url"}
    lab.secret("url", {"api": {"target": "url"}}, kv=url, decode="base64url")
    chain = {"template": '{{ fields["tls.crt"] }}{{ fields["tls-key"] }}'}
    names = {"mount": lab.mount, "path": "names"}
    lab.vault.write(lab.mount, "names", **{"tls.crt": "crt", "tls-key": value})
    lab.secret("chain", {"api": {"target": "chain"}}, kv=names, **chain)
    lab.sync()

    assert dotenv.dotenv_values(stream=io.StringIO(_read(lab, "env").decode())) == fields
    assert _read(lab, "dsn").decode() == f"pg://shop:{value}%2F%40%3A%C3%A9@db/x\n"
    assert _read(lab, "bare") == b"two words"
    assert _read(lab, "bytes") == _read(lab, "url") == data
    assert _read(lab, "chain").decode() == f"crt{value}"
    assert json.loads(_read(lab, "json")) == {
        "awkward": AWKWARD,
        "number": 5,
        "nested": {"a": [None, True]},
    }


def test_a_refusal_is_remembered_by_a_fresh_process_without_a_value_read(lab: Lab) -> None:
    """The verdict is kept in the swarm by the version's identity, and ends with the next one."""
    vault, _ = lab.through_proxies()
    lab.service("api", replicas=1)
    lab.secret("env", {"api": {"target": "env"}}, format="dotenv")
    lab.secret("good", {"api": {"target": "good"}})
    lab.rotate("good")
    lab.vault.write(lab.mount, "env", PASSWORD=f"{lab.canary()}'$")
    lab.cli("sync", code=3)
    vault.exchanges.clear()

    env = lab.status(code=3)["env"]
    assert (env["state"], env["reason"]) == ("Held", "FormatCannotHold")
    assert "'PASSWORD'" in env["message"]
    assert "FormatCannotHold" in lab.cli("plan", code=3)
    lab.cli("sync", code=3)
    assert not [e.path for e in vault.exchanges if "/data/" in e.path]
    assert set(lab.swarm.references(lab.name("api"))) == {"good"}

    lab.vault.write(lab.mount, "env", PASSWORD=lab.canary())
    lab.cli("sync")
    assert lab.status()["env"]["running_version"] == 2
