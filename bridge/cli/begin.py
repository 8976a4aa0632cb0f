"""The command for a first start: it makes a configuration, and what Vault must grant for it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.cli.shared import Options, command, print_json
from bridge.cli.written_whole import is_there, put
from bridge.errors import ConfigError, Problem

if TYPE_CHECKING:
    from bridge.cli.grant import Grant
    from bridge.config import Configuration
    from bridge.report.first_config import Answers, FirstSecret

METHODS = ("approle", "token", "jwt", "cert")
_Function = TypeVar("_Function", bound=Callable[..., Any])
STACK, MACHINE = "stack", "machine"


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the options of ``init`` say; empty where one is not given."""

    address: str
    namespace: str
    ca: str
    auth: str
    auth_mount: str
    role: str
    run_as: str
    instance: str
    docker_host: str
    mount: str
    secrets: tuple[FirstSecret, ...]
    database_mount: str
    databases: tuple[FirstSecret, ...]
    docker_prefix: str
    write_stack: bool
    force: bool
    apply: bool
    admin_token_file: str
    admin_token_env: str
    to_docker_secrets: bool
    yes: bool
    existing: bool


def _first_secrets(
    _context: click.Context, _option: click.Parameter, value: tuple[str, ...]
) -> tuple[FirstSecret, ...]:
    from bridge.report.first_config import FirstSecret

    try:
        return tuple(map(FirstSecret.read, value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _option(*names: str, **more: Any) -> Callable[[_Function], _Function]:
    """Return an option whose value is empty where it is not given."""
    return click.option(*names, **{"default": "", **more})


@command
@_option("--address", metavar="URL", envvar="VAULT_ADDR", help="Address of Vault; or $VAULT_ADDR.")
@_option(
    "--namespace", metavar="NAME", envvar="VAULT_NAMESPACE", help="In Vault; or $VAULT_NAMESPACE."
)
@_option(
    "--ca",
    metavar="FILE",
    envvar="VAULT_CACERT",
    help="CA of Vault's certificate, where it is a private one; or $VAULT_CACERT.",
)
@_option("--auth", type=click.Choice(METHODS), default=None, help="Login. Default: approle.")
@_option("--auth-mount", metavar="PATH", help="Mount of that method of login. Default: its name.")
@_option("--role", metavar="NAME", help="Role for jwt or cert. Default: swarm-bridge.")
@_option(
    "--run-as",
    type=click.Choice((STACK, MACHINE)),
    default=None,
    help="As a stack, behind a proxy (the default), or on the machine, as with systemd.",
)
@_option("--instance", metavar="NAME", help="Tells bridges on one swarm apart. Default: default.")
@_option(
    "--docker-host",
    metavar="URL",
    envvar="DOCKER_HOST",
    help="The engine as this command reaches it; or $DOCKER_HOST.",
)
@_option("--mount", metavar="PATH", help="Of the KV engine. Default: secret.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=PATH[:FIELD][@SERVICE,...]",
    callback=_first_secrets,
    help="A secret from KV; without FIELD, all fields as JSON. May be repeated.",
)
@_option("--database-mount", metavar="PATH", help="Of the database engine. Default: database.")
@click.option(
    "--database",
    "databases",
    multiple=True,
    metavar="NAME=ROLE[@SERVICE,...]",
    callback=_first_secrets,
    help="A credential of a dynamic role of the database engine. May be repeated.",
)
@_option(
    "--docker-prefix",
    metavar="PREFIX",
    help="Prefix of the names of the bridge's own Docker secrets. Default: vault_.",
)
@click.option("--write-stack", is_flag=True, help="Write the stack and its proxy's rules, too.")
@click.option("--force", is_flag=True, help="Overwrite what exists and differs.")
@click.option(
    "--apply", is_flag=True, help="Write the policies and roles to Vault, after showing them."
)
@_option("--admin-token-file", metavar="FILE", help="An administrator's token for --apply.")
@_option("--admin-token-env", metavar="NAME", help="A variable with it, such as VAULT_TOKEN.")
@click.option(
    "--docker-secrets",
    "to_docker_secrets",
    is_flag=True,
    help="Store role id, secret id and CA as Docker secrets; else the ids as files of mode 0600.",
)
@click.option(
    "--existing",
    is_flag=True,
    help="Read the existing configuration, and add what is missing beside it.",
)
@click.option("--yes", is_flag=True, help="Do not ask before writing to Vault.")
@click.pass_obj
def init(options: Options, /, **given: Any) -> None:
    """Write a first configuration, and print what Vault must grant for it.

    Takes its answers from the options, and on a terminal asks for the rest. It writes the
    configuration with comments, once it has checked it, and prints the policies, the commands that
    put them in place, and the stack. It writes nothing to Vault or the swarm without `--apply`,
    which needs an administrator's token. It never prints the secret id.

    With `--existing` it takes the answers from the existing configuration, and does not write that
    file. It also leaves an existing stack that differs, unless `--force` is given.
    """
    from bridge.cli.grant import token_of

    asked = Given(**given)
    answers, configuration, files = _begun(options, asked)
    if asked.write_stack:
        files |= _stack_files(options.config, answers, asked)
    if asked.apply:
        token = token_of(asked.admin_token_file, asked.admin_token_env)
        with _granting(configuration, answers, asked, token) as grant:
            _show(grant)
            written = _write(files, asked)
            if _agreed(grant, asked):
                grant.carry_out(lambda line: click.echo(line, err=True))
    elif asked.to_docker_secrets:
        raise click.UsageError("--docker-secrets goes with --apply")
    else:
        written = _write(files, asked)
    if options.as_json:
        print_json({"written": written} | _printed(options.config, answers, asked, configuration))
    else:
        _print(options.config, answers, asked, configuration, written)


# --- the answers ----------------------------------------------------------------------------------


def _begun(options: Options, given: Given) -> tuple[Answers, Configuration, dict[Path, str]]:
    """Return the answers, the configuration, and the file of it where it is to be written."""
    from bridge.report.first_config import config_text

    if given.existing:
        from bridge.cli.existing import answers_of, refuse_answers

        refuse_answers(options.config)
        configuration = options.load()
        answers = answers_of(
            configuration,
            run_as=given.run_as,
            ca=_absolute(given.ca),
            docker_host=given.docker_host,
        )
        if given.apply and answers.ca == "FILE":
            raise click.UsageError("--ca is needed: the configuration has `vault.ca_file`")
        return answers, configuration, {}
    answers = _answers(given, Path(options.config).absolute().parent)
    text = config_text(answers)
    return answers, _parsed(text), {Path(options.config): text}


def _answers(given: Given, folder: Path) -> Answers:
    """Make the answers of what is given; ask for the rest where a terminal is.

    Raises ``click.UsageError`` where there is none, and something is needed that has no default.
    """
    from bridge.report.first_config import Answers, FirstSecret

    terminal = _on_terminal()

    def ask(value: str | None, question: str, default: str, choices: tuple[str, ...] = ()) -> str:
        if value or not terminal:
            return value or default
        kind = click.Choice(choices) if choices else str
        return str(click.prompt(question, default=default, type=kind, err=True))

    if not (given.address or terminal):
        raise click.UsageError("--address is needed, as in https://vault.example.net:8200")
    address = given.address or click.prompt("Address of Vault", err=True)
    method = ask(given.auth, "How the bridge logs in", METHODS[0], METHODS)
    run_as = ask(given.run_as, "How it runs", STACK, (STACK, MACHINE))
    # With any option that says what goes where, nothing more is asked about that.
    known = given.secrets or given.databases
    mount = given.mount or (
        "secret" if known else ask("", "Where the KV engine is mounted", "secret")
    )
    secrets = given.secrets
    while terminal and not known:
        line = click.prompt(
            "A secret, as NAME=PATH:FIELD@SERVICE (empty: no more)",
            default="",
            show_default=False,
            err=True,
        )
        if not line:
            break
        try:
            secrets += (FirstSecret.read(line),)
        except ValueError as error:
            click.echo(f"{error}", err=True)
    defaults = Answers(address=address)
    return replace(
        defaults,
        namespace=given.namespace,
        method=method,
        auth_mount=given.auth_mount,
        role=given.role or defaults.role,
        ca=_absolute(given.ca),
        instance=given.instance or defaults.instance,
        stack=run_as == STACK,
        folder=str(folder),
        docker_host=given.docker_host or defaults.docker_host,
        mount=mount,
        secrets=secrets,
        database_mount=given.database_mount or defaults.database_mount,
        databases=given.databases,
    )


def _on_terminal() -> bool:
    return sys.stdin.isatty()


def _absolute(file: str) -> str:
    return str(Path(file).absolute()) if file else ""


# --- the files ------------------------------------------------------------------------------------


def _parsed(text: str) -> Configuration:
    """Read a configuration as `run` would. Raises ``ConfigError``, with the keys of each mistake.

    What the environment would fill is in it already.
    """
    from bridge.config import load

    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        try:
            return load(file.name, {})
        except ConfigError as error:
            problems = (Problem("the answers", 0, p.key, p.message) for p in error.problems)
            raise ConfigError(tuple(problems)) from None


def _stack_files(config: str, answers: Answers, given: Given) -> dict[Path, str]:
    """Return the stack and its proxy's rules, which lie beside the configuration."""
    from bridge.report.engine_policy import haproxy
    from bridge.report.stack import PREFIX, stack

    if not answers.stack:
        raise click.UsageError("--write-stack goes with --run-as stack")
    name = Path(config).name
    text = stack(answers, given.docker_prefix or PREFIX, name)
    file = Path(config).with_suffix(".stack.yml" if name.endswith(".yml") else ".yml")
    return {file: text, Path(config).with_name("haproxy.cfg"): haproxy()}


def _write(files: dict[Path, str], given: Given) -> list[str]:
    """Write files, all or none of them; returns those that were not there as they are now.

    Where one is there with another content, and it is not forced, ``click.UsageError`` is raised;
    with ``--existing`` it stays, and is named.
    """
    wanted = {file: text for file, text in files.items() if not is_there(file, text.encode())}
    taken = [str(file) for file in wanted if os.path.lexists(file)]
    if taken and given.existing and not given.force:
        click.echo(f"{', '.join(taken)}: there already, and left as it is", err=True)
        wanted = {file: text for file, text in wanted.items() if str(file) not in taken}
    elif taken and not given.force:
        raise click.UsageError(
            f"{', '.join(taken)}: there already, with another content; nothing is written. Name"
            " another file with -c, or overwrite it with --force"
        )
    for file, text in wanted.items():
        put(file, text.encode())
    return [str(file) for file in wanted]


# --- what is written into Vault -------------------------------------------------------------------


@contextmanager
def _granting(
    configuration: Configuration, answers: Answers, given: Given, token: str
) -> Iterator[Grant]:
    """Yield what is to be written into Vault, and where the credential goes."""
    from bridge.cli.existing import credential_files
    from bridge.cli.grant import DockerSecrets, Files, open_grant
    from bridge.keys.values import docker_host
    from bridge.model.settings import DockerSettings
    from bridge.report.stack import PREFIX, docker_secrets
    from bridge.servers.swarm import Swarm

    if not given.to_docker_secrets:
        names = {what: Path(answers.folder) / what for what in ("role_id", "secret_id")}
        if not answers.stack:
            names |= credential_files(configuration.settings.vault.auth)
        with open_grant(configuration, token, Files(names), answers.ca, force=given.force) as grant:
            yield grant
        return
    if not answers.stack:
        raise click.UsageError("--docker-secrets goes with --run-as stack")
    try:
        host = docker_host(answers.docker_host)
    except ValueError as error:
        raise click.UsageError(f"--docker-host: {error}") from None
    with closing(Swarm(DockerSettings(host))) as swarm:
        place = DockerSecrets(swarm, docker_secrets(answers, given.docker_prefix or PREFIX))
        with open_grant(configuration, token, place, answers.ca, force=given.force) as grant:
            yield grant


def _show(grant: Grant) -> None:
    click.echo("\n".join(grant.lines()), err=True)


def _agreed(grant: Grant, given: Given) -> bool:
    """Return whether to write; a terminal is asked. Raises ``click.Abort`` for a no."""
    if grant.writes_something and _on_terminal() and not given.yes:
        click.confirm("Write this?", abort=True, err=True)
    return grant.writes_something


# --- what is printed ------------------------------------------------------------------------------


def _printed(
    config: str, answers: Answers, given: Given, configuration: Configuration
) -> dict[str, Any]:
    """Return what is printed, for programs."""
    from bridge.report import policy as written
    from bridge.report.stack import PREFIX, secret_commands, stack

    desired, vault = configuration.desired, configuration.settings.vault
    policies = {
        written.NAME: written.policy_hcl(desired, vault),
        written.CUSTODY_NAME: written.custody_hcl(desired, vault),
    }
    printed: dict[str, Any] = {
        "policies": {name: hcl for name, hcl in policies.items() if hcl},
        "commands": list(written.commands(desired, vault)),
    }
    if answers.stack:
        prefix = given.docker_prefix or PREFIX
        printed["docker_secrets"] = list(secret_commands(answers, prefix))
        printed["stack"] = stack(answers, prefix, Path(config).name)
    return printed


def _print(
    config: str,
    answers: Answers,
    given: Given,
    configuration: Configuration,
    written: list[str],
) -> None:
    printed = _printed(config, answers, given, configuration)
    parts = [f"# Written: {', '.join(written)}" if written else f"# {config} is as it should be."]
    parts += printed["policies"].values()
    c = f" -c {config}"
    lines = [
        line.replace("vault-bridge policy", f"vault-bridge{c} policy")
        for line in (*printed["commands"], *printed.get("docker_secrets", ()))
    ]
    parts.append("\n".join(["# The commands that put this in place:", *lines]))
    if answers.stack and not given.write_stack:
        parts.append(printed["stack"])
    click.echo("\n\n".join(part.rstrip("\n") for part in parts))
