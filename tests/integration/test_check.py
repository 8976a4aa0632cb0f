"""``check`` names what is wrong and how to mend it; ``policy`` is exactly enough."""

from __future__ import annotations

import re

import pytest

from tests.support.lab import Lab
from tests.support.swarm import IMAGE, SLEEPER


def _findings(lab: Lab, code: int = 0) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in lab.json("check", code=code)["findings"]:
        where = finding["where"].replace(lab.prefix, "")
        found.setdefault(where, []).append(f"{finding['level']}: {finding['message']}")
    return found


def test_the_printed_policy_is_enough_and_nothing_more(lab: Lab) -> None:
    """A whole rotation, `check` and all commands with that policy and without the default one."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.secret("user", {"api": {}}, kv={"path": "db", "field": "user"})
    lab.secret("deep", {"api": {}}, kv={"path": 'deep/er/a "quoted" name'})
    lab.rotate("db", user="shop")
    lab.rotate('deep/er/a "quoted" name')
    hcl = lab.cli("policy")
    paths = re.findall(r'^path "(.+)" \{ capabilities = \["(\w+)"\] \}', hcl, re.MULTILINE)
    assert sorted(paths) == sorted(
        [
            (f"{lab.mount}/metadata/db", "read"),
            (f"{lab.mount}/data/db", "read"),
            (f"{lab.mount}/subkeys/db", "read"),
            (rf"{lab.mount}/subkeys/deep/er/a \"quoted\" name", "read"),
            (rf"{lab.mount}/metadata/deep/er/a \"quoted\" name", "read"),
            (rf"{lab.mount}/data/deep/er/a \"quoted\" name", "read"),
            ("auth/token/lookup-self", "read"),
            ("auth/token/renew-self", "update"),
            ("sys/capabilities-self", "update"),
        ]
    )
    policy = lab.name("policy")
    lab.vault.policy(policy, hcl)
    lab.token_file.write_text(lab.vault.make_token(policy, no_default_policy=True))
    for command in ("plan", "sync", "status"):
        lab.cli(command)
    assert "error" not in lab.cli("check")
    value = lab.rotate("db", user="shop")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), lab.name("db")) == [value]

    for path, capability in paths:
        rule = f'path "{path}" {{ capabilities = ["{capability}"] }}'
        lab.vault.policy(policy, hcl.replace(rule, ""))
        said = _anyhow(lab)
        assert rule in said, said


def _anyhow(lab: Lab) -> str:
    said = lab.json("check", code=None)["findings"]
    return "\n".join(f"{f['level']}: {f['message']}" for f in said if f["where"] != "docker")


def test_missing_capabilities_come_with_their_policy_line(lab: Lab) -> None:
    lab.secret("db", {})
    lab.secret("key", {})
    lab.rotate("db")
    lab.rotate("key")
    policy = lab.name("policy")
    lab.vault.policy(policy, f'path "{lab.mount}/metadata/db" {{ capabilities = ["read"] }}')
    lab.token_file.write_text(lab.vault.make_token(policy))
    found = _findings(lab, code=3)
    (seen, db), (key,) = found["secrets.db"], found["secrets.key"]
    (names,) = [line for line in found["vault"] if "subkeys" in line]
    assert names.startswith("note: the contents are unverified")
    assert "at version 1" in seen
    assert f'path "{lab.mount}/data/db" {{ capabilities = ["read"] }}' in db
    assert f'path "{lab.mount}/metadata/key" {{ capabilities = ["read"] }}' in key
    assert f'path "{lab.mount}/data/key" {{ capabilities = ["read"] }}' in key


def test_a_folder_is_looked_at_by_one_request_where_that_is_granted(lab: Lab) -> None:
    """And without that line nothing is wrong."""
    for name in "abcd":
        lab.secret(name, {}, kv={"path": f"apps/{name}"})
        lab.rotate(f"apps/{name}")
    hcl, policy = lab.cli("policy"), lab.name("policy")
    rule = f'path "{lab.mount}/detailed-metadata/apps/" {{ capabilities = ["list"] }}'
    granted = {rule: "one request tells of 4 paths", "": "asks for 4 paths one by one"}
    for line, words in granted.items():
        lab.vault.policy(policy, hcl.replace(rule, line))
        lab.token_file.write_text(lab.vault.make_token(policy, no_default_policy=True))
        (said,) = [each for each in _findings(lab)["vault"] if f"{lab.mount}/: " in each]
        if "as only OpenBao does" in said:
            pytest.skip("this Vault lists no metadata of folders")
        assert words in said
        assert (rule in said) == (not line)
        assert lab.status().keys() == set("abcd")


def test_a_kv_version_1_mount_and_a_dead_token(lab: Lab) -> None:
    old = f"{lab.mount}-v1"
    lab.vault.mount_kv(old, version=1)
    lab.secret("db", {}, kv={"mount": old, "path": "one"})
    (db,) = _findings(lab, code=3)["secrets.db"]
    assert "NotKvV2" in db
    assert f"vault kv enable-versioning {old}/" in db
    lab.vault.unmount(old)
    lab.token_file.write_text("not-a-token")
    (vault,) = _findings(lab, code=4)["vault"]
    assert "does not know our token" in vault


def test_what_keeps_services_from_rolling_well(lab: Lab) -> None:
    health = {"Test": ["CMD", "true"], "Interval": 1_000_000_000}
    stop_first = {"Order": "stop-first"}
    lab.service("good", replicas=2, Healthcheck=health, update=stop_first)
    lab.service("one", replicas=1, Healthcheck=health, update=stop_first)
    lab.service("ill", replicas=1)
    lab.service("stuck", replicas=2, Healthcheck=health, update={"FailureAction": "pause"})
    bare = {"TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Command": SLEEPER}}}
    lab.swarm.call("POST", "/services/create", {"Name": lab.name("bare"), **bare})
    job = {"Mode": {"ReplicatedJob": {"TotalCompletions": 0}}, **bare}
    lab.swarm.call("POST", "/services/create", {"Name": lab.name("job"), **job})
    lab.swarm.create_secret(lab.name("db_v1"), b"by hand")
    lab.service(
        "stacked",
        replicas=2,
        Healthcheck=health,
        secrets=[(lab.name("db_v1"), "db")],
        labels={"com.docker.stack.namespace": "shop"},
    )
    names = ("good", "one", "ill", "stuck", "bare", "job", "stacked")
    lab.secret("db", {name: {"target": "db"} for name in names})
    lab.rotate("db")
    found = _findings(lab)
    assert "good" not in found
    (one,), (ill,), (stuck,) = found["one"], found["ill"], found["stuck"]
    assert "not zero-downtime" in one
    assert "start-first" in one
    assert "no health check" in ill
    assert "stays paused" in stuck
    assert len(found["bare"]) == 3  # the engine's defaults count
    assert "WouldRerun" in found["secrets.db.services.job"][0]
    assert "job" not in found
    stacked = "\n".join(found["secrets.db.services.stacked"])
    assert f"note: it was deployed by the stack shop with {lab.name('db_v1')}" in stacked
    assert "vault-bridge render" in stacked
    assert any("autolock" in line for line in found["docker"])


def test_a_wrong_field_is_found_before_a_rotation(lab: Lab) -> None:
    """By the names of fields, without a value; the rest by the values, where that is asked for."""
    vault, _ = lab.through_proxies()
    lab.secret("db", {}, kv={"field": "passwort"})
    lab.secret("map", {}, kv={"path": "db", "field": "nested"})
    lab.secret("dsn", {}, kv={"path": "db"}, template="{{ user }}:{{ password | default('') }}")
    lab.secret("key", {}, kv={"path": "db", "field": "key"}, decode="base64")
    value = lab.canary()
    lab.vault.write(lab.mount, "db", password=value, nested={"a": value}, key=f"{value} no base64")
    found = _findings(lab, code=3)
    (db,) = found["secrets.db.kv.field"]
    assert db.startswith("error: FieldMissing: version 1 of ")
    assert "has no field 'passwort'; correct `kv.field`, or write a version that has it" in db
    (nested,) = found["secrets.map.kv.field"]
    assert "FieldNotText" in nested
    (dsn,) = found["secrets.dsn.template"]
    assert dsn.startswith("warning: FieldMissing")
    assert "secrets.key.kv.field" not in found
    assert not any("/data/" in exchange.path for exchange in vault.exchanges)

    found = {}
    for finding in lab.json("check", "--values", code=3)["findings"]:
        found.setdefault(finding["where"].replace(lab.prefix, ""), []).append(finding["message"])
    reads = [exchange for exchange in vault.exchanges if f"{lab.mount}/data/db" in exchange.path]
    assert len(reads) == 1
    (key,) = found["secrets.key.kv.field"]
    assert key.startswith("NotBase64: version 1")
    assert "FieldMissing" in found["secrets.db.kv.field"][0]

    lab.vault.write(
        lab.mount, "db", password=value, passwort=value, nested="x", key="eA==", user="u"
    )
    found = _findings(lab)
    assert not any("Field" in line for lines in found.values() for line in lines)
    said = lab.cli("check", "--values")
    assert said.count("was read, and fits") == 4
    assert value not in said


def test_correcting_the_field_clears_a_refusal_that_is_stored(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}}, kv={"field": "passwort"})
    value = lab.rotate("db")
    lab.cli("sync", code=3)
    (stored,) = [line for line in _findings(lab, code=3)["secrets.db"] if "FieldMissing" in line]
    assert "version 1" in stored
    lab.without("db")
    lab.secret("db", {"api": {}})
    found = _findings(lab)
    assert not any("FieldMissing" in line for lines in found.values() for line in lines)
    assert "held" not in lab.cli("plan")
    lab.cli("sync")
    assert lab.swarm.read(lab.name("api"), lab.name("db")) == [value]
    assert lab.status()["db"]["state"] == "Synced"
