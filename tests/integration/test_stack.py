"""The bridge as a service of the swarm: the stack that is documented, with the rights it has."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.model.labels import ASIDE, GOOD
from tests.support.certificates import Authority
from tests.support.database import Database
from tests.support.images import Registry, debian, docker, import_bridge, import_haproxy, wheels
from tests.support.lab import ROOT, Lab
from tests.support.nodes import MultiNodeSwarm
from tests.support.postgres import Postgres
from tests.support.processes import eventually
from tests.support.relay import Relay
from tests.support.requirements import missing
from tests.support.stack import BridgeStack
from tests.support.swarm import Engine, PrivateSwarm
from tests.support.vault import VaultServer

Json = dict[str, Any]


@pytest.fixture
def tls_vault(tmp_path: Path, swarm: Engine) -> Iterator[tuple[VaultServer, str]]:
    """A Vault over TLS with a private CA, whose certificate is returned with it."""
    if not isinstance(swarm, PrivateSwarm):
        pytest.skip("tasks reach a Vault of this machine, which needs a private engine")
    authority = Authority(tmp_path / "ca")
    files = (*authority.issue("vault", PrivateSwarm.ADDRESS), authority.file)
    server = VaultServer(tmp_path / "tls", files)
    server.start()
    port = int(server.address.rpartition(":")[2])
    with closing(Relay(swarm.namespace, PrivateSwarm.ADDRESS, port)):
        yield server, authority.file.read_text()
    server.close()


@pytest.fixture
def stack(
    tmp_path: Path, swarm: PrivateSwarm, tls_vault: tuple[VaultServer, str]
) -> Iterator[tuple[Lab, BridgeStack]]:
    """The stack that ``init`` writes and its lab, with images of this machine's own files."""
    server, ca = tls_vault
    lab = Lab(tmp_path, swarm, server)
    import_bridge(swarm, "vault-swarm-bridge:local")
    import_haproxy(swarm, "haproxy:local")
    lab.service("api", replicas=1)
    lab.rotate("db")
    names = {name: lab.name(name) for name in ("db", "api", "vault_secret_id", "stack_bridge")}
    made = BridgeStack(
        lab,
        swarm,
        bridge="vault-swarm-bridge:local",
        haproxy="haproxy:local",
        ca=ca,
        init=[
            f"--secret={names['db']}=db:password@{names['api']}",
            f"--secret={names['vault_secret_id']}=vault_secret_id:password@{names['stack_bridge']}",
        ],
    )
    yield lab, made
    lab.docker_host = swarm.host
    made.close()
    lab.close()


def _has(lab: Lab, value: str) -> None:
    eventually(lambda: _read(lab) == [value])


def _read(lab: Lab) -> list[str]:
    """Read the file of the secret ``db`` in each container of the service ``api``."""
    api = lab.name("api")
    start = lab.name("db_v")
    files = [f for f, name in lab.swarm.references(api).items() if name.startswith(start)]
    return lab.swarm.read(api, files[0]) if files else []


_LOOK = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/1/status"))
def writable(place):
    try:
        open(f"{place}/probe", "w")
    except OSError as error:
        return error.errno
print(json.dumps({
    "uids": set(status["Uid"].split()) == {"65532"},
    "capabilities": [int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Amb")],
    "no_new_privileges": int(status["NoNewPrivs"]),
    "writable": [writable(place) for place in ("", "/tmp", "/run/engine", "/run/secrets")],
    "programs": [n for n in ("sh", "bash", "pip", "apt", "ls") for d in ("/bin", "/usr/bin",
        "/usr/local/bin", "/opt/vault-bridge/bin") if os.path.exists(f"{d}/{n}")],
}))
"""


def test_it_rotates_with_no_right_that_it_does_not_need(stack: tuple[Lab, BridgeStack]) -> None:
    lab, bridges = stack
    bridges.deploy()
    eventually(lambda: lab.versions("db") == {1})
    _has(lab, lab.rotate("db"))
    bridges.wait_healthy()

    leader = bridges.status()["leader"]
    assert any(f"/{bridges.name}_bridge." in str(value) for value in leader.values()), leader
    for container in bridges.containers():
        seen = json.loads(bridges.run(container, "/opt/vault-bridge/bin/python", "-c", _LOOK))
        assert seen["uids"]
        assert seen["capabilities"] == [0, 0, 0, 0]
        assert seen["no_new_privileges"] == 1
        assert None not in seen["writable"]
        assert seen["programs"] == []
        host = container["HostConfig"]
        assert container["Config"]["User"] == "65532:65532"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] in (["ALL"], ["CAP_ALL"])
        assert not any("docker.sock" in str(mount) for mount in container["Mounts"])
        changes = lab.swarm.call("GET", f"/containers/{container['Id']}/changes") or []
        assert {change["Path"].split("/")[1] for change in changes} <= {"run", "etc"}  # mounts
        assert not container["NetworkSettings"]["Ports"]
    for container in bridges.containers("proxy"):
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] in (["ALL"], ["CAP_ALL"])
    said = bridges.logs()
    assert not [canary for canary in lab.canaries if canary in said]
    assert " 403 " not in said

    _it_rotates_its_own_credential(lab, bridges)


def _it_rotates_its_own_credential(lab: Lab, bridges: BridgeStack) -> None:
    """A bad credential goes back; a good one comes last, and then the former one may end."""
    (first,) = bridges.accessors()
    _new_credential(lab, bridges, good=False)
    eventually(lambda: _is_marked(lab, "vault_secret_id_v1", ASIDE))
    eventually(lambda: _own(lab, bridges) == "vault_secret_id")
    bridges.wait_healthy()
    assert bridges.secret("vault_secret_id")["reason"] == "RollFailed"

    bridges.ask("pause")
    value = lab.rotate("db")
    eventually(lambda: _is_there(lab, "db_v3"))  # what comes later is not waited for
    _new_credential(lab, bridges)  # the role was not locked out
    eventually(lambda: _is_there(lab, "vault_secret_id_v2"))
    bridges.ask("resume")
    eventually(lambda: _is_marked(lab, "vault_secret_id_v2", GOOD))
    assert _own(lab, bridges) == "vault_secret_id_v2"
    _has(lab, value)
    (task,) = lab.swarm.tasks(lab.name("api"))
    own = lab.swarm.service(bridges.bridge)["UpdateStatus"]
    assert task["Status"]["Timestamp"] < own["StartedAt"]  # it ran before that

    lab.vault.put(f"{bridges.role}/secret-id-accessor/destroy", secret_id_accessor=first)
    for container in bridges.containers():
        lab.swarm.call("POST", f"/containers/{container['Id']}/kill?signal=KILL")
    _has(lab, lab.rotate("db"))


def _new_credential(lab: Lab, bridges: BridgeStack, *, good: bool = True) -> None:
    """Write a secret id for the bridge into Vault."""
    secret_id = bridges.make_secret_id() if good else lab.canary()
    lab.vault.write(lab.mount, "vault_secret_id", password=secret_id)


def _labels(lab: Lab) -> dict[str, Json]:
    """Return the labels of each Docker secret."""
    secrets = lab.swarm.call("GET", "/secrets")
    return {s["Spec"]["Name"]: s["Spec"]["Labels"] or {} for s in secrets}


def _is_there(lab: Lab, name: str) -> bool:
    """Return whether a Docker secret is there."""
    return lab.name(name) in _labels(lab)


def _is_marked(lab: Lab, name: str, mark: str) -> bool:
    """Return whether a Docker secret has a label that begins so."""
    return any(label.startswith(mark) for label in _labels(lab).get(lab.name(name), ()))


def _own(lab: Lab, bridges: BridgeStack) -> str:
    """Return the Docker secret that the bridge logs in with."""
    return lab.swarm.references(bridges.bridge)["secret_id"].removeprefix(lab.prefix)


# --- the long form: an image that is built, pushed and pulled ------------------------------------


@pytest.fixture
def pulling(run_directory: Path) -> Iterator[tuple[PrivateSwarm, Registry]]:
    """An engine whose tasks pull their images, and a registry."""
    if problems := missing(engine=True, haproxy=True, registry=True):
        pytest.skip("; ".join(problems))
    folder = Path(tempfile.mkdtemp(dir=run_directory))  # its sockets need short names
    swarm = PrivateSwarm(folder / "swarm", pulls=True)
    with closing(swarm), closing(Registry(swarm, folder / "registry")) as registry:
        yield swarm, registry


BUILT = ROOT / "build/image"


def _build(swarm: PrivateSwarm, registry: Registry) -> str:
    """Build the image as its page says; returns its name."""
    docker(swarm, "import", str(debian()), "python:base")
    base = registry.push("python:base")
    name = "vault-swarm-bridge:built"
    environ = {**os.environ, "DOCKER_HOST": swarm.host, "DOCKER_BUILDKIT": "0"}
    arguments = [f"BASE={base}", f"IMAGE={name}", f"WHEELS={wheels()}"]
    command = ["make", "--silent", "image", *arguments, "BUILD_OPTIONS=--network none"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return name


def _is_small_and_bare(swarm: PrivateSwarm, image: str, exported: Path) -> None:
    found = json.loads(docker(swarm, "image", "inspect", image))[0]
    assert found["Size"] < 150e6
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == "built"
    assert "@sha256:" in labels["org.opencontainers.image.base.name"]
    container = docker(swarm, "create", image).strip()
    docker(swarm, "export", "-o", str(exported), container)
    with tarfile.open(exported) as tree:
        files = [member.name for member in tree.getmembers()]
        programs = {Path(member.name).name for member in tree.getmembers() if not member.isdir()}
        setuid = [member.name for member in tree.getmembers() if member.mode & 0o6000]
    docker(swarm, "rm", container)
    assert setuid == []
    assert not programs & {"sh", "bash", "dash", "apt", "dpkg", "perl", "gcc", "pip", "pip3"}
    packages = {
        tuple(Path(name).name.removesuffix(".dist-info").rsplit("-", 1))
        for name in files
        if name.endswith(".dist-info") and "site-packages" in name
    }
    bill = json.loads((BUILT / "sbom.cdx.json").read_text())
    listed = {(c["name"].replace("-", "_").lower(), c["version"]) for c in bill["components"]}
    own = ("vault_swarm_bridge", bill["metadata"]["component"]["version"])
    assert listed | {own} == {(name.replace("-", "_").lower(), v) for name, v in packages}
    scanned = docker(swarm, "run", "--rm", "--network", "none", image, "--version")
    assert scanned.startswith("vault-bridge, version")


@pytest.mark.acceptance
def test_ten_rotations_by_an_image_that_was_pulled(
    tmp_path: Path, pulling: tuple[PrivateSwarm, Registry], postgres: Postgres
) -> None:
    """Meanwhile the bridge's own credential is rotated five times, and once more to a bad one.

    One leader is killed, and one is replaced by another image in the middle of a roll.
    """
    swarm, registry = pulling
    built = _build(swarm, registry)
    _is_small_and_bare(swarm, built, tmp_path / "exported.tar")
    import_haproxy(swarm, "haproxy:local")
    (tmp_path / "next").mkdir()
    (tmp_path / "next/Dockerfile").write_text(f"FROM {built}\nLABEL next=1\n")
    docker(swarm, "build", "-t", "vault-swarm-next:1", str(tmp_path / "next"))
    images = [registry.push(image) for image in ("haproxy:local", built, "vault-swarm-next:1")]
    docker(swarm, "image", "rm", "-f", *images)

    authority = Authority(tmp_path / "ca")
    files = (*authority.issue("vault", PrivateSwarm.ADDRESS), authority.file)
    server = VaultServer(tmp_path / "tls", files)
    server.start()
    port = int(server.address.rpartition(":")[2])
    lab = Lab(tmp_path, swarm, server)
    with (
        closing(server),
        closing(Relay(swarm.namespace, PrivateSwarm.ADDRESS, port)),
        closing(Database(server, postgres, lab.prefix)) as database,
    ):
        database.role("app")
        lab.service("api", replicas=1)
        lab.secret("db", {"api": {"target": "db"}})
        lab.secret("vault_secret_id", {"stack_bridge": {"target": "secret_id"}})
        lab.leased(
            "user",
            {"api": {"target": "user"}},
            {"mount": database.mount, "role": "app"},
            lease={"grace": "1s"},
        )
        lab.rotate("db")
        bridges = BridgeStack(
            lab,
            swarm,
            bridge=images[1],
            haproxy=images[0],
            ca=authority.file.read_text(),
            custody=True,
        )
        bridges.deploy()
        bridges.wait_healthy()
        for turn in range(10):
            if turn % 2 == 0 or turn == 3:
                _new_credential(lab, bridges, good=turn != 3)
            _rotate_both(lab, bridges)
            if turn == 3:
                swarm.call("POST", f"/containers/{_leader(bridges)}/kill?signal=KILL")
            if turn == 6:
                lab.rotate("db")
                bridges.deploy(images[2])
        eventually(lambda: _own(lab, bridges) == "vault_secret_id_v6")
        eventually(lambda: _is_marked(lab, "vault_secret_id_v6", GOOD))
        bridges.wait_healthy()
        assert {c["Config"]["Image"] for c in bridges.containers()} == {images[2]}
        eventually(lambda: {s["state"] for s in bridges.status()["secrets"]} == {"Synced"})
        said = bridges.logs()
        assert not [canary for canary in lab.canaries if canary in said]
        assert " 403 " not in said
        updates = [line for line in said.splitlines() if f"/services/{_id(lab)}/update" in line]
        assert len([line for line in updates if line.startswith("200 ")]) <= 24  # each once
        bridges.close()
        lab.close()


@pytest.fixture
def managers(run_directory: Path) -> Iterator[MultiNodeSwarm]:
    """A swarm of two managers, whose images are this machine's own files."""
    if problems := missing(engine=True, haproxy=True):
        pytest.skip("; ".join(problems))
    folder = Path(tempfile.mkdtemp(dir=run_directory))
    with closing(MultiNodeSwarm(folder / "nodes", managers=2, workers=0)) as nodes:
        for node in nodes.names:
            import_bridge(nodes.engine(node), "vault-swarm-bridge:local")
            import_haproxy(nodes.engine(node), "haproxy:local")
            nodes.show_socket(node, "/run/docker.sock")
        yield nodes


@pytest.mark.acceptance
def test_the_leaders_node_is_drained_in_the_middle_of_a_roll(
    tmp_path: Path, managers: MultiNodeSwarm
) -> None:
    """The other bridge goes on with the roll, which is begun once."""
    authority = Authority(tmp_path / "ca")
    address = PrivateSwarm.ADDRESS  # of the first manager
    files = (*authority.issue("vault", address), authority.file)
    swarm = managers.engine("m1")
    server = VaultServer(tmp_path / "tls", files)
    server.start()
    port = int(server.address.rpartition(":")[2])
    lab = Lab(tmp_path, swarm, server)
    with closing(server), closing(Relay(managers.namespace("m1"), address, port)):
        lab.service("api", replicas=3)
        lab.secret("db", {"api": {"target": "db"}})
        value = lab.rotate("db")
        bridges = BridgeStack(
            lab,
            swarm,
            bridge="vault-swarm-bridge:local",
            haproxy="haproxy:local",
            ca=authority.file.read_text(),
            socket="/var/run/docker.sock",
        )
        bridges.deploy()
        bridges.wait_healthy()
        eventually(lambda: _read(lab) == [value] * 3)
        eventually(lambda: _is_marked(lab, "db_v1", GOOD))
        leader = bridges.status()["leader"]["host"]
        began = int(time.time())
        value = lab.rotate("db")
        eventually(lambda: value in _read(lab))  # one of three has it
        drained = leader.partition("/")[0]
        swarm.update_node(drained, Availability="drain")
        eventually(lambda: _read(lab) == [value] * 3)
        eventually(lambda: _is_marked(lab, "db_v2", GOOD))
        assert bridges.status()["leader"]["host"].partition("/")[0] != drained
        assert _writes(swarm, lab.name("api"), began) == 1
        bridges.close()
        lab.close()


def _writes(swarm: Engine, name: str, since: int) -> int:
    """Return how often the spec of a service was written, as the engine's events tell."""
    events = swarm.api.events(
        since=since, until=int(time.time()) + 1, filters={"type": ["service"]}, decode=True
    )
    attributes = [event["Actor"]["Attributes"] for event in events]
    return attributes.count({"name": name})


def _rotate_both(lab: Lab, bridges: BridgeStack) -> None:
    """Rotate the KV secret and the database user, and wait until every task has both.

    And until the user is good: before that ``rotate`` asks for nothing more than what is under way.
    """
    before = set(lab.swarm.read(lab.name("api"), "user"))
    value = lab.rotate("db")
    bridges.ask("rotate", lab.name("user"))
    _has(lab, value)
    eventually(lambda: not before & set(lab.swarm.read(lab.name("api"), "user")))
    eventually(lambda: _is_marked(lab, f"user_v{max(lab.versions('user'))}", GOOD))


def _leader(bridges: BridgeStack) -> str:
    """Return the id of the container that leads."""
    found: list[Json] = []

    def known() -> bool:
        task = bridges.status()["leader"]["host"].rpartition("/")[2]
        found[:] = [c for c in bridges.containers() if c["Name"].removeprefix("/") == task]
        return bool(found)

    eventually(known)
    return str(found[0]["Id"])


def _id(lab: Lab) -> str:
    return str(lab.swarm.service(lab.name("api"))["ID"])
