"""`vault-bridge init`, as far as it needs no server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from bridge.cli import begin, cli
from bridge.config import load
from bridge.errors import ConfigError
from bridge.report.stack import template
from bridge.sources.kv.source import KvPath

ADDRESS = "https://vault.example.net:8200"
NONE = dict.fromkeys(("VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT", "DOCKER_HOST"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "conf" / "bridge.yaml"


def _init(config: Path, *arguments: str, typed: str = "", **environ: str) -> Result:
    words = ["-c", str(config), "init", *arguments]
    return CliRunner().invoke(cli, words, input=typed, env={**NONE, **environ})


def test_it_writes_what_the_parser_reads_and_prints_the_rest(config: Path) -> None:
    done = _init(config, "--address", ADDRESS, "--secret", "db=shop/db:password@shop_api")
    assert done.exit_code == 0, done.output
    assert load(str(config), {}).desired.secrets[0].name == "db"
    assert 'path "secret/data/shop/db"' in done.stdout
    assert f"vault-bridge -c {config} policy | vault policy write swarm-bridge -" in done.stdout
    assert "token_no_default_policy=true token_type=service" in done.stdout
    assert "docker secret create vault_secret_id -" in done.stdout
    assert "image: ${BRIDGE_IMAGE" in done.stdout
    assert sorted(each.name for each in config.parent.iterdir()) == ["bridge.yaml"]


def test_what_is_there_is_not_overwritten(config: Path) -> None:
    assert _init(config, "--address", ADDRESS).exit_code == 0
    before = config.read_text()
    assert _init(config, "--address", ADDRESS).exit_code == 0  # it is the same
    other = ("--address", "https://other:8200")
    refused = _init(config, *other, "--write-stack")
    assert refused.exit_code == 2
    assert "--force" in refused.output
    assert config.read_text() == before
    assert not config.with_suffix(".yml").exists()
    assert _init(config, *other, "--force").exit_code == 0
    assert "https://other:8200" in config.read_text()


def test_a_link_to_nowhere_is_not_written_through(config: Path, tmp_path: Path) -> None:
    config.parent.mkdir()
    config.symlink_to(tmp_path / "elsewhere")
    assert _init(config, "--address", ADDRESS).exit_code == 2
    assert not (tmp_path / "elsewhere").exists()


def test_an_answer_that_the_parser_refuses_is_named_and_nothing_is_written(config: Path) -> None:
    done = _init(config, "--address", "vault", "--secret", "db=shop//db")
    assert isinstance(done.exception, ConfigError)
    assert {problem.key for problem in done.exception.problems} == {
        "vault.address",
        "secrets.db.kv.path",
    }
    assert not config.exists()


def test_the_stack_and_its_rules_are_written_beside_it(config: Path) -> None:
    done = _init(config, "--address", ADDRESS, "--ca", "/ca.pem", "--write-stack")
    assert done.exit_code == 0, done.output
    assert config.with_name("bridge.yml").read_text() == template()
    assert "frontend bridge" in config.with_name("haproxy.cfg").read_text()
    assert "image:" not in done.stdout


def test_the_environment_answers_as_an_option_would(config: Path) -> None:
    environ = {"VAULT_ADDR": ADDRESS, "VAULT_NAMESPACE": "team", "VAULT_CACERT": "/ca.pem"}
    done = _init(config, "--run-as", "machine", "--json", **environ)
    assert json.loads(done.stdout)["written"] == [str(config)]
    vault = load(str(config), {}).settings.vault
    assert (vault.address, vault.namespace, vault.ca_file) == (ADDRESS, "team", "/ca.pem")


def test_without_a_terminal_it_asks_nothing(config: Path) -> None:
    done = _init(config, typed=f"{ADDRESS}\n")
    assert done.exit_code == 2
    assert "--address is needed" in done.output


def test_on_a_terminal_it_asks_for_what_is_missing(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begin, "_on_terminal", lambda: True)
    typed = [ADDRESS, "token", "machine", "kv", "wrong", "db=shop/db:password@api", ""]
    done = _init(config, typed="\n".join(typed) + "\n")
    assert done.exit_code == 0, done.output
    configuration = load(str(config), {})
    (secret,) = configuration.desired.secrets
    assert secret.name == "db"
    assert secret.source == KvPath("", "kv", "shop/db")
    assert configuration.settings.vault.address == ADDRESS
    assert "NAME=PLACE is needed" in done.stderr
    assert "Address of Vault" not in done.stdout  # what is printed may go into a file


# --- a configuration that is there ----------------------------------------------------------------

WRITTEN = """\
# written by hand
vault:
  address: https://vault.example.net:8200
  ca_file: /run/secrets/vault_ca
  auth:
    method: approle
    role_id_file: /run/secrets/role_id
    secret_id_file: /run/secrets/secret_id
docker: {host: "unix:///run/engine/engine.sock"}
secrets:
  db: {kv: {mount: secret, path: shop/db, field: password}}
"""


@pytest.fixture
def written(config: Path) -> Path:
    config.parent.mkdir()
    config.write_text(WRITTEN)
    return config


def test_an_existing_configuration_stays_and_the_rest_is_added(written: Path) -> None:
    done = _init(written, "--existing", "--write-stack")
    assert done.exit_code == 0, done.output
    assert written.read_text() == WRITTEN
    assert 'path "secret/data/shop/db"' in done.stdout
    assert "docker secret create vault_ca FILE" in done.stdout
    names = sorted(each.name for each in written.parent.iterdir())
    assert names == ["bridge.yaml", "bridge.yml", "haproxy.cfg"]
    assert "{source: vault_ca, target: vault_ca" in written.with_suffix(".yml").read_text()


def test_an_existing_stack_stays_too_unless_it_is_forced(written: Path) -> None:
    stack = written.with_suffix(".yml")
    stack.write_text("# mine\n")
    done = _init(written, "--existing", "--write-stack")
    assert done.exit_code == 0, done.output
    assert f"{stack}: there already, and left as it is" in done.stderr
    assert stack.read_text() == "# mine\n"
    assert written.with_name("haproxy.cfg").exists()
    assert _init(written, "--existing", "--write-stack", "--force").exit_code == 0
    assert "services:" in stack.read_text()
    assert written.read_text() == WRITTEN


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--secret", "a=b"], "--secret is not taken with --existing"),
        (["--address", ADDRESS], "--address is not taken with --existing"),
        (["--apply", "--admin-token-env", "T"], "--ca is needed"),
    ],
)
def test_what_the_configuration_says_is_not_asked_again(
    written: Path, arguments: list[str], words: str
) -> None:
    done = _init(written, "--existing", *arguments, T="x", VAULT_ADDR="https://other:8200")
    assert done.exit_code == 2
    assert words in done.output


def test_one_that_is_not_for_the_stack_is_refused_or_taken_for_the_machine(written: Path) -> None:
    elsewhere = WRITTEN.replace("/run/secrets/", "/etc/vault-bridge/")
    written.write_text(elsewhere)
    refused = _init(written, "--existing", "--run-as", "stack")
    assert refused.exit_code == 2
    assert "vault.auth.role_id_file is /etc/vault-bridge/role_id" in refused.output
    written.write_text(elsewhere.replace("/run/engine/engine.sock", "/var/run/docker.sock"))
    taken = _init(written, "--existing")
    assert taken.exit_code == 0, taken.output
    assert "docker secret create" not in taken.output


# --- the names of its own Docker configs ---------------------------------------------------------


def _own(config: Path, *more: str) -> Result:
    return CliRunner().invoke(cli, ["-c", str(config), "render", "--own", *more], env=NONE)


def test_another_content_has_another_name_and_the_same_has_the_same(written: Path) -> None:
    first = _own(written)
    assert first.exit_code == 0, first.output
    names = yaml.safe_load(first.stdout)
    assert names["version"] == yaml.safe_load(template())["version"]
    assert list(names["configs"]) == ["bridge"]
    written.with_name("haproxy.cfg").write_text("rules\n")
    both = yaml.safe_load(_own(written).stdout)["configs"]
    assert both["bridge"] == names["configs"]["bridge"]
    written.write_text(f"{WRITTEN}# a change\n")
    changed = yaml.safe_load(_own(written).stdout)["configs"]
    assert changed["bridge"] != both["bridge"]
    assert changed["proxy"] == both["proxy"]
    assert set(changed) <= set(yaml.safe_load(template())["configs"])


def test_its_own_names_are_a_file_of_their_own(written: Path) -> None:
    assert _own(written, "--env").exit_code == 2
    written.write_text("nonsense: 1\n")
    assert isinstance(_own(written).exception, ConfigError)
