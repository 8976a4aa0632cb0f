"""The file in the container: its name, owner and mode stay, and its content changes."""

from __future__ import annotations

import json
import signal

from tests.support.lab import Lab
from tests.support.swarm import SLEEP

_STAT = ("stat", "-c", "%u %g %a")


def test_owner_mode_and_target_are_the_same_before_and_after(lab: Lab) -> None:
    """As the configuration says, from inside, over a rotation; absolute targets too."""
    lab.service("api", replicas=1)
    fields = {"target": "pw", "uid": "33", "gid": "44", "mode": "0440"}
    lab.secret("db", {"api": fields})
    lab.secret("key", {"api": {"target": "/etc/app/key"}})
    lab.secret("plain", {"api": {}})
    paths = ("/run/secrets/pw", "/etc/app/key", f"/run/secrets/{lab.name('plain')}")
    for _ in range(2):
        values = [lab.rotate(path) for path in ("db", "key", "plain")]
        lab.sync()
        contents = [lab.swarm.run(lab.name("api"), "cat", path) for path in paths]
        assert contents == [[value] for value in values]
        assert [lab.swarm.run(lab.name("api"), *_STAT, path) for path in paths] == [
            ["33 44 440\n"],
            ["0 0 444\n"],  # Docker's own defaults
            ["0 0 444\n"],
        ]


def test_a_service_that_was_rotated_by_hand_is_taken_over(lab: Lab) -> None:
    """``db_v1`` and ``db`` made by hand, under the configured target: moved from, file kept."""
    for number, name in enumerate(("db_v1", "key")):
        lab.swarm.create_secret(lab.name(name), f"by hand {number}".encode())
    lab.service(
        "api",
        replicas=1,
        secrets=[(lab.name("db_v1"), "pw"), (lab.name("key"), "/run/secrets/key")],
    )
    lab.secret("db", {"api": {"target": "pw"}})
    lab.secret("key", {"api": {"target": "key"}})
    lab.rotate("db")  # its name in Docker is taken by hand
    db, key = lab.rotate("db"), lab.rotate("key")
    lab.sync()
    assert lab.swarm.references(lab.name("api")) == {
        "pw": lab.name("db_v2"),
        "/run/secrets/key": lab.name("key_v1"),
    }
    assert lab.swarm.run(lab.name("api"), "cat", "/run/secrets/pw", "/run/secrets/key") == [
        db + key
    ]
    assert lab.name("db_v1") in lab.swarm.secret_names()  # not ours to remove


def test_names_that_begin_alike_are_told_apart(lab: Lab) -> None:
    """``db`` beside ``db_vpn``: each moves by its own versions."""
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}})
    lab.secret("db_vpn", {"api": {"target": "vpn"}})
    vpn = lab.rotate("db_vpn")
    for version in (1, 2, 3):
        lab.rotate("db")
        lab.sync()
        assert lab.swarm.references(lab.name("api")) == {
            "db": lab.name(f"db_v{version}"),
            "vpn": lab.name("db_vpn_v1"),
        }
    assert lab.swarm.read(lab.name("api"), "vpn") == [vpn]


def test_all_fields_as_json(lab: Lab) -> None:
    lab.service("api", replicas=1)
    lab.secret("cfg", {"api": {"target": "cfg.json"}}, format="json")
    value = lab.canary()
    lab.vault.write(lab.mount, "cfg", port=5432, password=value, nested={"on": True}, ü="é")
    lab.sync()
    (text,) = lab.swarm.read(lab.name("api"), "cfg.json")
    assert json.loads(text) == {
        "port": 5432,
        "password": value,
        "nested": {"on": True},
        "ü": "é",
    }


def test_changed_fields_come_with_the_next_roll_or_at_once(lab: Lab) -> None:
    """Until then `plan` shows them; `plan --now` and `sync --apply-fields` do not wait."""
    _, engine = lab.through_proxies()
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "pw"}})
    lab.rotate("db")
    lab.sync()
    lab.secret("db", {"api": {"target": "pw", "uid": "33", "mode": "0400"}})
    lab.cli("sync")
    assert lab.updates(engine, "api") == 1
    (notice,) = lab.json("plan")["notices"]
    assert notice["message"] == "uid 0 -> 33, mode 0444 -> 0400 with the next roll"
    assert "FieldsChanged" in lab.cli("plan")
    assert lab.status()["db"]["services"][0]["reason"] == "FieldsChanged"
    assert lab.swarm.run(lab.name("api"), *_STAT, "/run/secrets/pw") == ["0 0 444\n"]

    value = lab.rotate("db")
    lab.cli("sync")
    assert lab.swarm.run(lab.name("api"), *_STAT, "/run/secrets/pw") == ["33 0 400\n"]
    assert lab.json("plan")["notices"] == []

    lab.secret("db", {"api": {"target": "/etc/app/pw", "uid": "33", "mode": "0440"}})
    (action,) = [a for a in lab.json("plan", "--now")["actions"] if a["action"] == "RollService"]
    assert action["reason"] == "FieldsChanged"
    assert "target pw -> /etc/app/pw, mode 0400 -> 0440" in action["summary"]
    lab.cli("sync", "--apply-fields")
    assert lab.swarm.run(lab.name("api"), *_STAT, "/etc/app/pw") == ["33 0 440\n"]
    assert lab.swarm.run(lab.name("api"), "cat", "/etc/app/pw") == [value]
    assert lab.updates(engine, "api") == 3
    lab.cli("sync", "--apply-fields")
    lab.cli("sync")
    assert lab.updates(engine, "api") == 3
    assert lab.status()["db"]["reason"] == "UpToDate"


def test_changed_fields_are_applied_by_the_bridge_that_runs(lab: Lab) -> None:
    """`sync --apply-fields` asks for them and follows; one that has not reloaded is told to."""
    _, engine = lab.through_proxies()
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "pw"}})
    lab.rotate("db")
    process = lab.start()
    process.wait_for("good", docker_secret=lab.name("db_v1"))
    lab.secret("db", {"api": {"target": "pw", "uid": "33", "mode": "0400"}})
    lab.write_config()
    assert "another configuration" in lab.run("sync", "--apply-fields", code=3).stderr
    assert lab.swarm.run(lab.name("api"), *_STAT, "/run/secrets/pw") == ["0 0 444\n"]
    process.signal(signal.SIGHUP)
    process.wait_for("configuration_reloaded")
    assert "is followed" in lab.cli("sync", "--apply-fields")
    assert lab.swarm.run(lab.name("api"), *_STAT, "/run/secrets/pw") == ["33 0 400\n"]
    assert lab.updates(engine, "api") == 2
    lab.cli("sync", "--apply-fields")
    assert lab.updates(engine, "api") == 2
    assert lab.status()["db"]["reason"] == "UpToDate"
    assert process.stop() == 0


def test_fields_that_a_service_cannot_live_with_are_tried_once(lab: Lab) -> None:
    """Swarm rolls them back. The wish is refused with its words, and services go on."""
    _, engine = lab.through_proxies()
    command = ["sh", "-c", f"[ -f /run/secrets/pw ] || exit 3; {SLEEP}"]
    lab.secret("db", {})
    lab.rotate("db")
    lab.sync()
    update = {"FailureAction": "rollback", "Order": "stop-first"}
    references = [(lab.name("db_v1"), "pw")]
    lab.service("api", replicas=1, command=command, update=update, secrets=references)
    lab.secret("db", {"api": {"target": "pw"}})
    lab.sync()
    lab.secret("db", {"api": {"target": "other"}})
    output = lab.cli("sync", "--apply-fields", code=3)
    assert "WishRefused" in lab.cli("plan", code=3)
    assert "rolled back" in output
    lab.cli("sync", code=3)
    assert lab.updates(engine, "api") == 1
    assert list(lab.swarm.references(lab.name("api"))) == ["pw"]
    lab.secret("db", {"api": {"target": "pw"}})
    lab.cli("sync")


def test_one_secret_under_two_targets(lab: Lab) -> None:
    """Both files move in one update, and keep their names."""
    lab.secret("db", {})
    lab.rotate("db")
    lab.sync()
    name = lab.name("db_v1")
    lab.service("api", replicas=1, secrets=[(name, "one"), (name, "/run/secrets/two")])
    _, engine = lab.through_proxies()
    files = [{"target": "one", "mode": "0400"}, {"target": "two", "mode": "0400"}]
    lab.secret("db", {"api": files})
    value = lab.rotate("db")
    lab.sync()
    assert lab.updates(engine, "api") == 1
    assert set(lab.swarm.references(lab.name("api"))) == {"one", "/run/secrets/two"}
    for target in ("one", "two"):
        assert lab.swarm.read(lab.name("api"), target) == [value]
        assert lab.swarm.run(lab.name("api"), *_STAT, f"/run/secrets/{target}") == ["0 0 400\n"]


def test_the_long_name_of_a_target_is_the_same_target(lab: Lab) -> None:
    """``/run/secrets/pw`` and ``pw`` are one file: nothing is changed for that."""
    lab.secret("db", {})
    lab.rotate("db")
    lab.sync()
    lab.service("api", replicas=1, secrets=[(lab.name("db_v1"), "/run/secrets/pw")])
    _, engine = lab.through_proxies()
    lab.secret("db", {"api": {"target": "pw"}})
    lab.cli("sync", "--apply-fields")
    assert lab.updates(engine, "api") == 0
    lab.rotate("db")
    lab.sync()
    assert list(lab.swarm.references(lab.name("api"))) == ["/run/secrets/pw"]
