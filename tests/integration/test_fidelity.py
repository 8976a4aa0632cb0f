"""I3: a roll changes nothing of a service's spec but the ids and names of what it moves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import engine_of
from tests.support.lab import ROOT, Lab
from tests.support.swarm import IMAGE, SLEEPER, Engine, PrivateSwarm
from tests.support.vault import VaultServer

Json = dict[str, Any]

_SECOND = 1_000_000_000

FAT: Json = {
    "Labels": {"team": "shop", "empty": ""},
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": IMAGE,
            "Labels": {"inside": "yes"},
            "Command": SLEEPER[:2],
            "Args": SLEEPER[2:],
            "Hostname": "{{.Node.Hostname}}-{{.Task.Slot}}",
            "Env": ["A=1", "EMPTY="],
            "Dir": "/tmp",
            "User": "1000:1000",
            "Groups": ["33"],
            "Privileges": {
                "NoNewPrivileges": True,
                "Seccomp": {"Mode": "unconfined"},
                "AppArmor": {"Mode": "disabled"},
                "SELinuxContext": {"Disable": True},
            },
            "Init": True,
            "StopSignal": "SIGINT",
            "TTY": True,
            "OpenStdin": True,
            "ReadOnly": True,
            "Mounts": [
                {"Type": "tmpfs", "Target": "/cache", "TmpfsOptions": {"SizeBytes": 65536}},
                {
                    "Type": "volume",
                    "Source": "data",
                    "Target": "/data",
                    "VolumeOptions": {"NoCopy": True, "Labels": {"v": "1"}},
                },
                {"Type": "bind", "Source": "/etc", "Target": "/host", "ReadOnly": True},
            ],
            "StopGracePeriod": 7 * _SECOND,
            "Healthcheck": {
                "Test": ["CMD", "true"],
                "Interval": 3 * _SECOND,
                "Timeout": 2 * _SECOND,
                "Retries": 4,
                "StartPeriod": 5 * _SECOND,
                "StartInterval": _SECOND,
            },
            "Hosts": ["10.0.0.1 one"],
            "DNSConfig": {"Nameservers": ["10.0.0.2"], "Search": ["x"], "Options": ["ndots:2"]},
            "Isolation": "default",
            "Sysctls": {"net.core.somaxconn": "1024"},
            "CapabilityAdd": ["CAP_NET_RAW"],
            "CapabilityDrop": ["CAP_CHOWN"],
            "Ulimits": [{"Name": "nofile", "Hard": 2048, "Soft": 1024}],
            "OomScoreAdj": 7,
        },
        "Resources": {
            "Limits": {"NanoCPUs": 500000000, "MemoryBytes": 67108864, "Pids": 64},
            "Reservations": {"NanoCPUs": 1000000, "MemoryBytes": 6291456},
        },
        "RestartPolicy": {"Condition": "on-failure", "Delay": _SECOND, "MaxAttempts": 3},
        "Placement": {
            "Constraints": ["node.role==manager"],
            "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
            "MaxReplicas": 4,
            "Platforms": [{"Architecture": "x86_64", "OS": "linux"}],
        },
        "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}},
        "ForceUpdate": 3,
    },
    "Mode": {"Replicated": {"Replicas": 0}},
    "UpdateConfig": {
        "Parallelism": 2,
        "Delay": _SECOND,
        "FailureAction": "continue",
        "Monitor": _SECOND,
        "MaxFailureRatio": 0.25,
        "Order": "start-first",
    },
    "RollbackConfig": {"Parallelism": 1, "Monitor": _SECOND, "Order": "stop-first"},
    "EndpointSpec": {
        "Mode": "dnsrr",
        "Ports": [
            {
                "Protocol": "tcp",
                "TargetPort": 80,
                "PublishedPort": 18080,
                "PublishMode": "host",
            }
        ],
    },
}
BARE: Json = {"TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Command": SLEEPER}}}


@pytest.fixture(
    params=[
        "installed",
        pytest.param("trixie", marks=pytest.mark.engines),
        pytest.param("sid", marks=pytest.mark.engines),
    ],
    scope="module",
)
def engine(request: pytest.FixtureRequest, run_directory: Path) -> Iterator[Engine]:
    if request.param == "installed":
        yield request.getfixturevalue("swarm")
        return
    tree = engine_of(request.param, ROOT / ".engines")
    made = PrivateSwarm(run_directory / request.param, tree)
    print(f"engine {made.call('GET', '/version')['Version']}")
    yield made
    made.close()


@pytest.fixture
def lab(tmp_path: Path, engine: Engine, vault: VaultServer) -> Iterator[Lab]:
    made = Lab(tmp_path, engine, vault)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["fat", "bare"])
def test_a_roll_changes_only_ids_and_names(lab: Lab, kind: str) -> None:
    """The references stay in their order, one that is not ours among them."""
    lab.rotate("db")
    lab.rotate("key")
    lab.secret("db", {})
    lab.secret("key", {})
    lab.sync()
    lab.swarm.create_secret(lab.name("foreign"), b"x")
    names = [lab.name(n) for n in ("key_v1", "foreign", "db_v1")]
    spec = _with_references(lab, FAT if kind == "fat" else BARE, names)
    lab.swarm.call("POST", "/services/create", spec)

    lab.secret("db", {"api": {}})
    lab.secret("key", {"api": {}})
    lab.sync()  # what is right is left alone
    before = lab.swarm.service(lab.name("api"))
    assert before["Spec"].get("UpdateConfig") == spec.get("UpdateConfig")
    lab.rotate("db")
    lab.rotate("key")
    lab.sync()
    after = lab.swarm.service(lab.name("api"))

    expected = copy.deepcopy(before["Spec"])
    for reference in expected["TaskTemplate"]["ContainerSpec"]["Secrets"]:
        if reference["SecretName"] != lab.name("foreign"):
            reference["SecretName"] = reference["SecretName"].replace("_v1", "_v2")
            reference["SecretID"] = lab.swarm.secret(reference["SecretName"])["ID"]
    assert after["Spec"] == expected
    assert after["PreviousSpec"] == before["Spec"]


def _with_references(lab: Lab, spec: Json, names: list[str]) -> Json:
    made: Json = copy.deepcopy({"Name": lab.name("api"), **spec})
    made["TaskTemplate"]["ContainerSpec"]["Secrets"] = [
        {
            "File": {"Name": f"{number}-{name}", "UID": "33", "GID": "44", "Mode": 0o440},
            "SecretID": lab.swarm.secret(name)["ID"],
            "SecretName": name,
        }
        for number, name in enumerate(names)
    ]
    return made


def test_nothing_a_fat_spec_says_was_dropped_by_the_test_itself(lab: Lab) -> None:
    """The comparison above proves nothing of a field that the engine did not take."""
    spec = {**copy.deepcopy(FAT), "Name": lab.name("fat")}
    lab.swarm.call("POST", "/services/create", spec)
    taken = lab.swarm.service(lab.name("fat"))["Spec"]
    version = lab.swarm.call("GET", "/version")["ApiVersion"]
    newer = {"Seccomp", "AppArmor", "NoNewPrivileges", "StartInterval", "OomScoreAdj"}
    old = tuple(map(int, version.split("."))) < (1, 46)
    assert _keys(spec) - _keys(taken) <= (newer if old else set())


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in _keys(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in _keys(inner)}
    return set()
