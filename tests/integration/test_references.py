"""I3: a reference of a service is what its Docker secret and its target say, together."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, given, seed, settings

from bridge.model.service import Reference
from tests.support.lab import Lab
from tests.support.references import CASES, Case, judge

Json = dict[str, Any]

DEFAULTS = ("0", "0", 0o444)
PRIVATE = ("1000", "1000", 0o400)
Files = dict[str, tuple[str, str, str, int]]


def mirrored(lab: Lab) -> None:
    """Have the first version in the swarm, which no service has yet."""
    lab.secret("db", {})
    lab.rotate("db")
    lab.sync()


def deploy(lab: Lab, *files: tuple[str, str, str, int], docker_secret: str = "db_v1") -> None:
    """Deploy a service that has one Docker secret under several targets."""
    name = lab.name(docker_secret)
    lab.service("api", replicas=1, secrets=[(name, target) for target, *_ in files])

    def fields(spec: Json) -> None:
        references = spec["TaskTemplate"]["ContainerSpec"]["Secrets"]
        for reference, (_, uid, gid, mode) in zip(references, files, strict=True):
            reference["File"] |= {"UID": uid, "GID": gid, "Mode": mode}

    lab.swarm.update_service(lab.name("api"), fields)


def files_of(lab: Lab) -> Files:
    """Return the references of the service in their order: the Docker secret, uid, gid and mode."""
    container = lab.swarm.service(lab.name("api"))["Spec"]["TaskTemplate"]["ContainerSpec"]
    return {
        ref["File"]["Name"]: (
            ref["SecretName"].removeprefix(lab.prefix),
            ref["File"]["UID"],
            ref["File"]["GID"],
            ref["File"]["Mode"],
        )
        for ref in container["Secrets"]
    }


def test_what_is_configured_changes_the_file_with_that_target_and_no_other(lab: Lab) -> None:
    """I3: both files move to the new version; the one that is not configured keeps its mode."""
    mirrored(lab)
    default = lab.name("db")
    deploy(lab, (default, *DEFAULTS), ("/etc/two.txt", *PRIVATE))
    lab.secret("db", {"api": {"uid": "5", "mode": "0444"}})
    value = lab.rotate("db")
    lab.sync()
    assert files_of(lab) == {
        default: ("db_v2", "5", "0", 0o444),
        "/etc/two.txt": ("db_v2", *PRIVATE),
    }
    assert lab.swarm.run(lab.name("api"), "cat", "/etc/two.txt") == [value]


def test_a_target_that_the_service_does_not_have_is_added(lab: Lab) -> None:
    """Which of several files would be meant by another name is not guessed: they all stay."""
    mirrored(lab)
    deploy(lab, ("two", *DEFAULTS), ("/etc/two.txt", *PRIVATE))
    lab.secret("db", {"api": {"target": "certs/a.txt"}})
    value = lab.rotate("db")
    lab.sync()
    assert files_of(lab) == {
        "certs/a.txt": ("db_v2", *DEFAULTS),
        "two": ("db_v2", *DEFAULTS),
        "/etc/two.txt": ("db_v2", *PRIVATE),
    }
    assert lab.swarm.read(lab.name("api"), "certs/a.txt") == [value]


def test_several_files_of_one_secret_are_configured_one_by_one(lab: Lab) -> None:
    """They come in the list's order, and a further one comes with the next roll."""
    lab.service("api", replicas=1)
    private = {"uid": "33", "gid": "44", "mode": "0440"}
    lab.secret("db", {"api": [{"target": "a", **private}, {"target": "/etc/b", **private}]})
    lab.rotate("db")
    lab.sync()
    expected = ("33", "44", 0o440)
    assert files_of(lab) == {"a": ("db_v1", *expected), "/etc/b": ("db_v1", *expected)}
    more = [{"target": target, **private} for target in ("certs/c", "a", "/etc/b")]
    lab.secret("db", {"api": more})
    (notice,) = lab.json("plan")["notices"]
    assert notice["message"] == "add the target certs/c with the next roll"
    lab.cli("sync", "--apply-fields")
    assert files_of(lab) == {file["target"]: ("db_v1", *expected) for file in more}
    value = lab.rotate("db")
    lab.sync()
    for path in ("/run/secrets/a", "/run/secrets/certs/c", "/etc/b"):
        assert lab.swarm.run(lab.name("api"), "cat", path) == [value]
        assert lab.swarm.run(lab.name("api"), "stat", "-c", "%u %g %a", path) == ["33 44 440\n"]


def test_the_engine_gives_all_files_of_a_secret_what_the_last_one_says(lab: Lab) -> None:
    """What the plan and `check` report rests on this."""
    mirrored(lab)
    deploy(lab, ("a", *DEFAULTS), ("/etc/b", *PRIVATE))
    lab.secret("db", {"api": [{"target": "a", "mode": "0444"}, {"target": "/etc/b"}]})
    said = "those of /etc/b (1000, 1000, 0400) hold for a too"
    assert said in " ".join(lab.cli("check").split())
    lab.rotate("db")
    lab.sync()
    for path in ("/run/secrets/a", "/etc/b"):
        assert lab.swarm.run(lab.name("api"), "stat", "-c", "%u %a", path) == ["1000 400\n"]


@pytest.mark.parametrize("mapped", [{"target": "key"}, {"target": "key/x"}])
def test_what_the_engine_would_refuse_is_foreseen(lab: Lab, mapped: Json) -> None:
    """`plan` and `check` say it before a version is mirrored; the engine refuses it indeed."""
    lab.swarm.create_secret(lab.name("foreign"), b"x")
    lab.service("api", replicas=1, secrets=[(lab.name("foreign"), "key")])
    lab.secret("db", {"api": mapped})
    lab.rotate("db")
    for command in ("plan", "check"):
        said = lab.cli(command, code=3)
        assert "TargetTaken" in said
        assert f"{lab.name('foreign')} under the target key" in said
    lab.cli("sync", code=3)
    assert files_of(lab) == {"key": ("foreign", *DEFAULTS)}


def test_a_file_that_is_not_told_from_others_is_asked_for_and_the_advice_works(lab: Lab) -> None:
    mirrored(lab)
    deploy(lab, ("a", *DEFAULTS), ("/etc/b", *DEFAULTS))
    lab.secret("db", {"api": {"uid": "5"}})
    lab.rotate("db")
    lab.cli("sync", code=3)
    assert "give the `target` that is meant" in lab.cli("check", code=3)
    lab.secret("db", {"api": {"target": "/etc/b", "uid": "5"}})
    lab.cli("check")
    lab.sync()
    assert files_of(lab) == {
        "a": ("db_v2", *DEFAULTS),
        "/etc/b": ("db_v2", "5", "0", 0o444),
    }


def test_a_roll_that_fails_gives_each_file_back(lab: Lab) -> None:
    """In its place and as it was, without the one that was added."""
    trap = "trap 'exit 0' TERM; sleep 9999 & wait"
    command = ["sh", "-c", f"grep -q poison /etc/b && exit 3; {trap}"]
    mirrored(lab)
    lab.swarm.create_secret(lab.name("foreign"), b"x")
    names = [lab.name(name) for name in ("db_v1", "foreign", "db_v1")]
    targets = ("a", "x", "/etc/b")
    pairs = list(zip(names, targets, strict=True))
    pause = {"FailureAction": "pause"}
    lab.service("api", replicas=2, secrets=pairs, command=command, update=pause)
    lab.swarm.wait_running(lab.name("api"), 2)
    before = files_of(lab)
    lab.secret("db", {"api": [{"target": "c"}, {"target": "a", "uid": "5"}]})
    lab.vault.write(lab.mount, "db", password="poison")
    lab.cli("sync", code=5)
    assert list(files_of(lab).items()) == list(before.items())


def test_another_instances_secret_is_not_ours_to_move(lab: Lab) -> None:
    """The labels decide, not the name."""
    labels = {"vault-bridge.instance": "other", "vault-bridge.secret": lab.name("db")}
    lab.swarm.create_secret(lab.name("db_v3"), b"theirs", labels)
    lab.service("api", replicas=1, secrets=[(lab.name("db_v3"), "pw")])
    lab.secret("db", {"api": {"target": "pw"}})
    lab.rotate("db")
    assert "NotOwned" in lab.cli("plan", code=3)
    assert "NotOwned" in lab.cli("check", code=3)
    lab.cli("sync", code=3)
    assert lab.status(code=3)["db"]["services"][0]["reason"] == "NotOwned"
    assert files_of(lab) == {"pw": ("db_v3", *DEFAULTS)}


def test_a_template_of_dockers_is_kept_or_its_end_is_told(lab: Lab) -> None:
    """The engine expands it with what else the task has; without a driver it comes as it is."""
    text = '{{ env "WHO" }} has {{ secret "pw" }}'
    body = {
        "Name": lab.name("db"),
        "Data": base64.b64encode(text.encode()).decode(),
        "Templating": {"Name": "golang"},
    }
    lab.swarm.call("POST", "/secrets/create", body)
    lab.swarm.create_secret(lab.name("foreign"), b"a word")
    pairs = [(lab.name("foreign"), "pw"), (lab.name("db"), "text")]
    lab.service("api", replicas=1, secrets=pairs, Env=["WHO=api"])
    lab.secret("db", {"api": {"target": "text"}})
    lab.vault.write(lab.mount, "db", password=f"now {text}")
    (notice,) = lab.json("plan")["notices"]
    assert notice["reason"] == "TemplatingEnds"
    assert "TemplatingEnds" in lab.cli("check")

    lab.secret("db", {"api": {"target": "text"}}, template_driver="golang")
    assert lab.json("plan")["notices"] == []
    assert "TemplatingEnds" not in lab.cli("check")
    lab.sync()
    assert lab.swarm.secret(lab.name("db_v1"))["Spec"]["Templating"] == {"Name": "golang"}
    assert lab.swarm.read(lab.name("api"), "text") == ["now api has a word"]


def test_any_references_and_any_mappings(lab: Lab) -> None:
    """A sample of what the servers in memory are asked: what they accept, the engine does."""
    mirrored(lab)
    other = {"vault-bridge.instance": "other", "vault-bridge.secret": lab.name("db")}
    for name, labels in (("db", {}), ("key", {}), ("db_v9", other)):
        lab.swarm.create_secret(lab.name(name), name.encode(), labels)
    cases = _sample(20)
    for number, case in enumerate(cases):
        pairs = [
            (lab.name(ref.secret_name), _target(lab, ref.file_name)) for ref in case.references
        ]
        lab.service(f"s{number}", replicas=0, secrets=pairs)
        lab.swarm.update_service(lab.name(f"s{number}"), partial(_write_fields, case.references))
    lab.secret("db", {f"s{number}": _mapping(lab, case) for number, case in enumerate(cases)})
    lab.rotate("db")
    with lab.loop() as loop:
        plan, finished = loop.sync(90)
    assert finished
    held = {hold.service for hold in plan.holds}
    assert 0 < len(held) < len(cases)
    for number, case in enumerate(cases):
        service = lab.name(f"s{number}")
        container = lab.swarm.service(service)["Spec"]["TaskTemplate"]["ContainerSpec"]
        after = [Reference.read(ref) for ref in container.get("Secrets") or ()]
        judge(case, tuple(_logical(lab, ref) for ref in after), held=service in held)


def _sample(count: int) -> list[Case]:
    """Return cases that are the same in each run."""
    found: list[Case] = []

    @settings(database=None, max_examples=count, phases=[Phase.generate])
    @seed(17)
    @given(case=CASES)
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found


def _target(lab: Lab, name: str) -> str:
    """Return a target on the engine: the default one is the secret's whole name."""
    return {"db": lab.name("db"), "./db": f"./{lab.name('db')}"}.get(name, name)


def _logical(lab: Lab, ref: Reference) -> Reference:
    name = ref.secret_name.removeprefix(lab.prefix)
    return replace(
        ref, secret_id=name, secret_name=name, file_name=ref.file_name.replace(lab.prefix, "")
    )


def _write_fields(references: tuple[Reference, ...], spec: Json) -> None:
    """Give each reference its own owner and mode."""
    container = spec["TaskTemplate"]["ContainerSpec"]
    for raw, ref in zip(container.get("Secrets") or (), references, strict=True):
        raw["File"] |= {"UID": ref.uid, "GID": ref.gid, "Mode": ref.mode}


def _mapping(lab: Lab, case: Case) -> list[Json]:
    """Write a case's files as the configuration has them."""
    files = [
        {
            "target": None if file.target is None else _target(lab, file.target),
            "uid": file.uid,
            "gid": file.gid,
            "mode": None if file.mode is None else f"0{file.mode:o}",
        }
        for file in case.files
    ]
    return [{key: value for key, value in file.items() if value is not None} for file in files]
