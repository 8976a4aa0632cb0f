"""`init --existing`: what is missing beside a configuration that somebody has written already.

The configuration is read and never written: whoever wrote it has their own comments and order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from bridge.config import Configuration
    from bridge.model.settings import Auth
    from bridge.report.first_config import Answers

_WRITTEN_THERE = (
    *("address", "namespace", "auth", "auth_mount", "role", "instance"),
    *("mount", "secrets", "database_mount", "databases"),
)
"""Options that the configuration answers itself."""


def refuse_answers(config: str) -> None:
    """Refuse options that would change the configuration. Raises ``click.UsageError``."""
    context = click.get_current_context()
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name in _WRITTEN_THERE and source == ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option.opts[0]} is not taken with --existing: {config} says it, and is not"
                " written. Add what is missing there by hand"
            )


def answers_of(
    configuration: Configuration, *, run_as: str | None, ca: str, docker_host: str
) -> Answers:
    """Return the answers that a configuration gives.

    Args:
        run_as: ``stack`` or ``machine``; None for what the configuration looks like.
        ca: The CA's file on this machine; where it is needed and empty, ``FILE`` stands for it.
        docker_host: The engine as this command reaches it; empty for the usual one.

    Raises:
        click.UsageError: It is to run as the stack, and names files or an engine that the stack
            does not have.
    """
    from bridge.report.first_config import PROXY, Answers

    vault, host = configuration.settings.vault, configuration.settings.docker.host
    stack = run_as == "stack" if run_as else host == PROXY
    method, files = _files(vault.auth)
    answers = Answers(
        address=vault.address,
        namespace=vault.namespace,
        method=method,
        auth_mount=getattr(vault.auth, "mount", ""),
        instance=configuration.desired.instance,
        stack=stack,
        ca=(ca or ("FILE" if stack else vault.ca_file)) if vault.ca_file else "",
        docker_host=docker_host or (Answers(address="").docker_host if stack else host),
    )
    if stack:
        expected = [(f"vault.auth.{key}", file, answers.file(what)) for key, what, file in files]
        expected += [("docker.host", host, PROXY)]
        expected += [("vault.ca_file", vault.ca_file, answers.file("vault_ca"))] * bool(answers.ca)
        _must_be(expected)
    return answers


def _must_be(expected: list[tuple[str, str, str]]) -> None:
    wrong = [
        f"{key} is {found}, and {there} there" for key, found, there in expected if found != there
    ]
    if wrong:
        raise click.UsageError(
            f"the configuration is not for the stack: {'; '.join(wrong)}. Change it, or take"
            " --run-as machine"
        )


def credential_files(auth: Auth) -> dict[str, Path]:
    """Return the files that a configuration reads its credential from, by what they are."""
    return {what: Path(file) for _, what, file in _files(auth)[1]}


def _files(auth: Auth) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    """Return the method, and of each of its files the key, what it is, and its name."""
    from bridge.model.settings import AppRole, CertLogin, JwtLogin
    from bridge.report.first_config import CREDENTIALS

    names = {AppRole: "approle", JwtLogin: "jwt", CertLogin: "cert"}
    method = names.get(type(auth), "token")
    found: Iterator[tuple[str, str, str]] = (
        (key, what, str(getattr(auth, key))) for key, what in CREDENTIALS[method]
    )
    return method, tuple(found)
