"""The command line as people and scripts use it: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess

import pytest

from tests.support.lab import Lab
from tests.support.processes import PATIENCE, eventually

_EIGHT_MISTAKES = """\
instance: default
vault:
  address: "hunter2-address"
  auth: {method: token}
docker: {host: hunter2-host}
poll: {interval: 10}
rollout: {bakee: hunter2-bake}
secrets:
  db:
    kv: {mount: secret, path: hunter2//x, field: password}
    services:
      api: {uid: 1000, mode: 400}
"""


def test_eight_mistakes_are_eight_messages_without_a_value(lab: Lab) -> None:
    lab.write_config()
    lab.config.write_text(_EIGHT_MISTAKES)
    done = subprocess.run(
        lab.command("plan"), capture_output=True, text=True, env=lab.environ(), check=False
    )
    assert done.returncode == 2
    said = done.stderr.splitlines()
    assert [line.removeprefix(f"{lab.config}:").split(": ")[:2] for line in said] == [
        ["3", "vault.address"],
        ["4", "vault.auth.token_file"],
        ["5", "docker.host"],
        ["6", "poll.interval"],
        ["7", "rollout.bakee"],
        ["10", "secrets.db.kv.path"],
        ["12", "secrets.db.services.api.mode"],
        ["12", "secrets.db.services.api.uid"],
    ]
    assert "hunter2" not in done.stdout + done.stderr


def test_plan_shows_what_will_be_done_and_changes_nothing(lab: Lab) -> None:
    """Also the roll behind the creation; and none of the bridge's own notes, unless asked for."""
    _, engine = lab.through_proxies()
    lab.service("api", replicas=1, labels={"com.docker.stack.namespace": "shop"})
    lab.secret("db", {"api": {"target": "db"}, "worker": {}})
    lab.rotate("db")
    db, api, worker = lab.name("db"), lab.name("api"), lab.name("worker")
    create, roll, held, blank, count, unverified = lab.cli("plan", code=3).splitlines()
    words = f"+ {db}_v1 version 1 of {lab.mount}/db, content unverified"
    assert create.split() == words.split()
    assert roll.split() == ["~", api, "add", f"{db}_v1"]
    assert held.split()[:4] == ["!", worker, f"{db}:", "ServiceMissing:"]
    assert (blank, count) == ("", "Plan: 1 to create, 1 to roll, 1 held.")
    assert unverified.startswith("1 content is unverified: a plan reads no value.")
    more = lab.cli("-v", "plan", code=3)
    assert f"NewVersion: version 1 of {lab.mount}/db is new" in more
    assert "note in the state config" in more
    comment = lab.cli("plan", "--format", "markdown", code=3)
    assert f"| ~ | `{api}` | add {db}_v1 | NewVersion |" in comment
    shown = lab.json("plan", "--exit-code", code=10)
    assert shown["actions"][0]["reason"] == "NewVersion"
    assert [(c["change"], c["stack"], c["now"]) for c in shown["changes"]] == [
        ("create", "", True),
        ("roll", "shop", False),
    ]
    assert shown["changes"][1]["moves"] == [{"secret": db, "from": "", "to": f"{db}_v1"}]
    assert shown["counts"]["unverified"] == 1
    assert engine.writes() == []

    lab.service("worker", replicas=1)
    lab.cli("sync")
    assert lab.cli("plan").strip() == "No changes. 1 secret and 2 services are up to date."
    lab.cli("plan", "--exit-code")


def test_status_in_words_and_as_json(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.sync()
    heads, row, service, _, leader = lab.cli("status").splitlines()
    titles = "SECRET VAULT RUNNING STATE REASON TASKS CHANGED AGE"
    assert heads.split() == titles.split()
    assert row.split()[:-2] == [lab.name("db"), "v1", "v1", "Synced", "UpToDate"]
    assert service.split()[:-1] == [lab.name("api"), "v1", "Synced", "UpToDate", "1/1"]
    assert leader == "No bridge is running."
    (secret,) = lab.json("status")["secrets"]
    created = lab.vault.get(f"{lab.mount}/metadata/db")["versions"]["1"]["created_time"]
    assert secret.pop("created") == created[:19] + "Z"
    assert secret.pop("changed") >= secret["services"][0].pop("changed") >= created[:19] + "Z"
    assert secret == {
        "name": lab.name("db"),
        "vault_version": 1,
        "running_version": 1,
        "state": "Synced",
        "reason": "UpToDate",
        "message": "",
        "versions": [1],
        "unused": [],
        "leases": [],
        "overdue": False,
        "overdue_at": None,
        "services": [
            {
                "name": lab.name("api"),
                "version": 1,
                "state": "Synced",
                "reason": "UpToDate",
                "message": "",
                "tasks_ready": 1,
                "tasks_desired": 1,
            }
        ],
    }


def test_status_of_one_secret_shows_it_whole(lab: Lab) -> None:
    """Its versions and who has which, its rolls, and a mark with who set it and why."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.secret("other", {})
    for _ in range(2):
        lab.rotate("db")
        lab.rotate("other")
        lab.sync()
    db, api = lab.name("db"), lab.name("api")
    lab.cli("rollback", db, "--reason", "it locks accounts")
    lab.cli("sync", code=None)
    shown = lab.cli("status", db, code=None)
    assert lab.name("other") not in shown
    head = shown.splitlines()[0]
    assert f"from {lab.mount}/db, version 2 in Vault" in head
    rows = [line.split() for line in shown.splitlines()]
    (new,) = [row for row in rows if row[:2] == ["v2", f"{db}_v2"]]
    (old,) = [row for row in rows if row[:2] == ["v1", f"{db}_v1"]]
    made = lab.vault.get(f"{lab.mount}/metadata/db")["versions"]["1"]["created_time"]
    assert old[2] == f"{made[:19]}Z"
    assert (new[-1], old[-1]) == ("-", api)
    assert any(row[:3] == [api, "v1", "1/1"] for row in rows)
    assert "(operator): an operator rolled back: it locks accounts" in shown
    assert f"v1 on {api}: begun " in shown
    details = lab.json("status", db, code=None)["secrets"]
    assert [d["services"] for d in details[0]["version_details"]] == [[], [api]]
    assert "did you mean" in lab.run("status", db + "x", code=2).stderr
    wide = lab.cli("status", "--wide", code=None)
    assert "KEPT" in wide
    assert "v1 v2" in wide


def test_status_is_watched_until_it_is_interrupted(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    watch = lab.start("status", "--watch")
    eventually(lambda: "no version" in watch.log.read_text() or "SECRET" in watch.log.read_text())
    lab.rotate("db")
    lab.sync()
    eventually(lambda: "UpToDate" in watch.log.read_text())
    assert watch.stop(signal.SIGINT) == 0
    lab.cli("status", "--watch", "--json", code=2)


def test_json_stands_before_or_behind_the_command(lab: Lab) -> None:
    """Also of what operators ask for: one document, whether it is followed or not."""
    lab.secret("db", {})
    lab.rotate("db")
    lab.sync()
    assert json.loads(lab.cli("--json", "status")) == lab.json("status")
    asked = f"The rolls of {lab.name('db')} are held until `vault-bridge resume`."
    assert lab.json("pause", lab.name("db")) == {"asked": asked, "done": False}
    asked = f"The rolls of {lab.name('db')} go on."
    assert lab.json("resume", lab.name("db"), "--wait") == {"asked": asked, "done": True}


def test_sync_shows_each_step(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    said = lab.cli("sync").splitlines()
    name, service = lab.name("db_v1"), lab.name("api")
    steps = [
        f"create secret {name} from version 1 in Vault: done",
        f"note on secret {name}: {service} is about to be rolled to it: done",
        f"roll service {service}: add {name}: done",
        f"note on secret {name}: {service} has converged and baked: done",
    ]
    assert [line for line in said if line in steps] == steps
    assert lab.json("sync")["finished"] is True


def test_sync_gives_up_after_its_timeout(lab: Lab) -> None:
    lab.settings(rollout={"bake": "10m"})
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    assert "db" in lab.cli("sync", "--timeout", "3", code=3)


def test_check_says_what_is_wrong_and_how_to_mend_it(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {}})
    lab.rotate("db")
    lab.cli("check")
    lab.secret("other", {"worker": {}})
    lab.token_file.write_text(lab.vault.make_token("default"))
    findings = {f["where"]: f for f in lab.json("check", code=3)["findings"]}
    db = findings[f"secrets.{lab.name('db')}"]
    assert db["level"] == "error"
    assert f'"{lab.mount}/metadata/db"' in db["message"]
    missing = findings[f"secrets.{lab.name('other')}.services.{lab.name('worker')}"]
    assert f"did you mean {lab.name('api')}?" in missing["message"]


@pytest.mark.parametrize("what", ["vault", "docker"])
def test_a_server_that_is_away(lab: Lab, what: str) -> None:
    """Exit code 4, and a message that names the address and what to do."""
    lab.secret("db", {})
    lab.rotate("db")
    if what == "vault":
        lab.vault_address = "http://127.0.0.1:9"
    else:
        lab.docker_host = f"unix://{lab.folder}/nothing.sock"
    for command in ("check", "plan", "status", "sync"):
        lab.cli(command, code=4)


def test_wrong_usage_is_answered_with_code_2(lab: Lab) -> None:
    lab.cli("not-a-command", code=2)
    lab.cli("sync", "--timeout", "soon", code=2)


def test_hangup_reads_the_configuration_again(lab: Lab) -> None:
    """A mistake in it leaves the former one in force, and the bridge running."""
    lab.service("api", replicas=1)
    lab.secret("db", {})
    lab.rotate("db")
    process = lab.start()
    process.wait_for("state", secret=lab.name("db"))
    written = lab.config.read_text()
    lab.config.write_text("secrets: {")
    process.process.send_signal(signal.SIGHUP)
    process.wait_for("configuration_rejected")
    lab.config.write_text(written)
    lab.secret("db", {"api": {"target": "db"}})
    lab.write_config()
    process.process.send_signal(signal.SIGHUP)
    process.wait_for("good", secret=lab.name("db"))
    assert list(lab.swarm.references(lab.name("api"))) == ["db"]
    assert process.stop(signal.SIGINT) == 0


def test_term_right_after_hangup_ends_it(lab: Lab) -> None:
    """Whatever was asked for before, the end is the end."""
    lab.secret("db", {})
    lab.rotate("db")
    process = lab.start()
    process.wait_for("state", secret=lab.name("db"))
    process.process.send_signal(signal.SIGHUP)
    assert process.stop() == 0


def test_the_log_of_a_rotation(lab: Lab) -> None:
    """JSON lines, each with secret, versions, service and reason; no value in any.

    Each is one of ``config/log-line.schema.json``: see ``Lab.close``. One field finds all of them.
    """
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.rotate("db")
    lab.sync()
    process = lab.start()
    process.wait_for("started")
    lab.rotate("db")
    process.wait_for("good", secret=lab.name("db"))
    eventually(lambda: bool(process.lines("state")[1:]))
    assert process.stop() == 0
    (mirrored,), (rolling,) = process.lines("mirrored"), process.lines("rolling")
    assert mirrored["docker_secret"] == lab.name("db_v2")
    assert mirrored["version"] == 2
    assert {
        "service": lab.name("api"),
        "secret": lab.name("db"),
        "docker_secret": lab.name("db_v2"),
        "former": 1,
        "version": 2,
        "reason": "NewVersion",
    }.items() <= rolling.items()
    rotation = mirrored["rotation"]
    assert rotation.startswith(f"{lab.name('db')}@2-")
    events = [line["event"] for line in process.lines() if line.get("rotation") == rotation]
    assert [e for e in events if e != "state"] == ["mirrored", "rolling", "converged", "good"]
    owners = {(line["instance"], line["bridge"]) for line in process.lines()}
    assert owners == {(lab.name("bridge"), socket.gethostname())}


def test_a_stop_while_the_configuration_is_read_is_no_failure(lab: Lab) -> None:
    """As of a service that is stopped as soon as it is started."""
    lab.write_config()
    lab.config.unlink()
    os.mkfifo(lab.config)
    process = subprocess.Popen(lab.command("run"), env=lab.environ(), stderr=subprocess.PIPE)
    with lab.config.open("w"):  # the bridge is reading now
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, b"")
