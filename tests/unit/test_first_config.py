"""What `init` writes: the parser reads it as it was meant, and the stack has its names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Configuration, load
from bridge.model.desired import Format
from bridge.model.settings import AppRole, CertLogin, JwtLogin, TokenFile
from bridge.report.first_config import PROXY, Answers, FirstSecret, config_text, scalar
from bridge.report.stack import docker_secrets, secret_commands, stack, template
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath

ADDRESS = "https://vault.example.net:8200"


def _read(tmp_path: Path, **answers: Any) -> Configuration:
    file = tmp_path / "bridge.yaml"
    file.write_text(config_text(Answers(address=ADDRESS, **answers)))
    return load(str(file), {})


def test_few_answers_make_a_configuration_for_the_stack(tmp_path: Path) -> None:
    configuration = _read(tmp_path)
    vault = configuration.settings.vault
    assert vault.address == ADDRESS
    assert vault.auth == AppRole("/run/secrets/role_id", "/run/secrets/secret_id")
    assert (vault.namespace, vault.ca_file, vault.custody) == ("", "", None)
    assert configuration.settings.docker.host == PROXY
    assert configuration.desired.instance == "default"
    assert configuration.desired.secrets == ()
    (warning,) = configuration.warnings
    assert "no secret is named" in warning


def test_all_answers_are_in_it(tmp_path: Path) -> None:
    configuration = _read(
        tmp_path,
        namespace="team-a",
        auth_mount="swarm/approle",
        ca="/here/ca.pem",
        instance="blue",
        stack=False,
        folder="/etc/vault-bridge",
        docker_host="unix:///run/docker.sock",
        mount="kv/apps",
        secrets=(
            FirstSecret("db", "shop/db", "password", ("shop_api", "shop_worker")),
            FirstSecret("conf", "shop/conf"),
        ),
        database_mount="pg",
        databases=(FirstSecret("dsn", "shop", services=("shop_api",)),),
    )
    vault = configuration.settings.vault
    assert (vault.namespace, vault.ca_file) == ("team-a", "/here/ca.pem")
    files = "/etc/vault-bridge/role_id", "/etc/vault-bridge/secret_id"
    assert vault.auth == AppRole(*files, "swarm/approle")
    assert vault.custody
    assert configuration.settings.docker.host == "unix:///run/docker.sock"
    desired = configuration.desired
    assert desired.instance == "blue"
    db, conf, dsn = desired.secrets
    assert db.source == KvPath("team-a", "kv/apps", "shop/db")
    assert db.content.format == Format.RAW
    assert [mapping.service for mapping in db.services] == ["shop_api", "shop_worker"]
    assert (conf.content.format, conf.services) == (Format.JSON, ())
    assert dsn.source == DatabaseRole("team-a", "pg", "shop")


@pytest.mark.parametrize(
    ("method", "auth"),
    [
        ("token", TokenFile("/run/secrets/token")),
        ("jwt", JwtLogin("bridge", "/run/secrets/jwt")),
        ("cert", CertLogin("bridge", "/run/secrets/cert", "/run/secrets/key")),
    ],
)
def test_each_method_of_login_has_its_files(tmp_path: Path, method: str, auth: object) -> None:
    configuration = _read(tmp_path, method=method, role="bridge")
    assert configuration.settings.vault.auth == auth


@given(st.text(min_size=1))
def test_any_text_is_read_as_it_was_given(text: str) -> None:
    assert yaml.safe_load(f"{{a: {scalar(text)}, b: 1}}") == {"a": text, "b": 1}
    assert yaml.safe_load(f"a: {scalar(text)}   # why\n") == {"a": text}


@pytest.mark.parametrize("text", ["https://vault:8200", "shop/db", "./bridge.yaml", "db_password"])
def test_what_is_plain_is_written_plainly(text: str) -> None:
    assert scalar(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("db=shop/db", FirstSecret("db", "shop/db")),
        ("db=shop/db:pass", FirstSecret("db", "shop/db", "pass")),
        ("db=shop/db:pass@api", FirstSecret("db", "shop/db", "pass", ("api",))),
        (" db = shop/db @ api, worker,", FirstSecret("db", "shop/db", "", ("api", "worker"))),
    ],
)
def test_a_secret_is_read_from_one_word(text: str, secret: FirstSecret) -> None:
    assert FirstSecret.read(text) == secret


@pytest.mark.parametrize("text", ["", "db", "=shop/db", "db=", "db=:field"])
def test_what_names_no_secret_is_answered_with_one(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=PLACE"):
        FirstSecret.read(text)


# --- the stack ------------------------------------------------------------------------------------

BASE = Answers(address=ADDRESS, ca="/here/ca.pem")


def _targets(text: str) -> dict[str, str]:
    document = yaml.safe_load(text)
    names = {key: it.get("name", key) for key, it in document["secrets"].items()}
    secrets = document["services"]["bridge"]["secrets"]
    assert len(secrets) == len(names)
    return {secret["target"]: names[secret["source"]] for secret in secrets}


def test_the_usual_answers_are_the_documented_stack() -> None:
    assert stack(BASE) == template()


def test_the_stack_has_the_secrets_that_the_configuration_reads(tmp_path: Path) -> None:
    for method, files in (("approle", 2), ("token", 1), ("jwt", 1), ("cert", 2)):
        answers = replace(BASE, method=method)
        targets = _targets(stack(answers, "blue_"))
        assert len(targets) == files + 1
        assert sorted(targets.values()) == sorted(docker_secrets(answers, "blue_").values())
        text = config_text(answers)
        assert all(f"/run/secrets/{target}" in text for target in targets)
        said = "\n".join(secret_commands(answers, "blue_"))
        assert all(f"docker secret create {name} " in said for name in targets.values())


def test_without_a_private_ca_there_is_no_secret_for_it() -> None:
    assert set(_targets(stack(replace(BASE, ca="")))) == {"role_id", "secret_id"}


def test_the_configs_of_two_instances_have_names_of_their_own() -> None:
    one, other = (
        yaml.safe_load(stack(replace(BASE, instance=instance), config="my.yaml"))["configs"]
        for instance in ("default", "blue")
    )
    assert one["bridge"]["file"] == other["bridge"]["file"] == "./my.yaml"
    assert not {it["name"] for it in one.values()} & {it["name"] for it in other.values()}
