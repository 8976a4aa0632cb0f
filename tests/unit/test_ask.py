"""The commands of operators: what each asks for, what it prints, and how far it waits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge import operate
from bridge.cli import cli
from bridge.cli.shared import Options
from bridge.config import Configuration
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.model.until import Until
from bridge.operate import NotFollowed
from tests.support.builders import desired_of

CALLS = [
    (["pause"], ("pause", ("", "")), {}),
    (["pause", "db", "--reason", "why"], ("pause", ("db", "why")), {}),
    (["resume"], ("resume", ("", "")), {}),
    (["rollback", "db", "--to", "v3"], ("rollback", ("db", 3, "")), {}),
    (["rollback", "db"], ("rollback", ("db", None, "")), {}),
    (["retry", "db"], ("retry", ("db", "")), {}),
    (["rotate", "db"], ("rotate", ("db", "")), {"at_once": False, "first": False}),
    (["rotate", "db", "--now"], ("rotate", ("db", "")), {"at_once": True, "first": False}),
    (["rotate", "db", "--revoke-first"], ("rotate", ("db", "")), {"at_once": False, "first": True}),
    (["resync", "db"], ("resync", ("db", "")), {}),
    (["approve", "db"], ("approve", ("db", "")), {}),
    (["forget", "db"], ("forget", ("db", "")), {}),
]
WAITING = ["resume", "rollback", "retry", "rotate", "resync", "approve"]


class _Operator:
    """Writes nothing down but what it was asked for."""

    def __init__(self) -> None:
        self.asked: tuple[str, tuple[Any, ...]] = ("", ())
        self.more: dict[str, Any] = {}
        self.followed: tuple[str, float, Until] | None = None
        self.trouble: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        def wish(*args: Any, **more: Any) -> str:
            self.asked, self.more = (name, args), more
            return "It is asked for."

        return wish

    def follow(self, name: str, timeout: float, *, until: Until, tell: Any) -> None:
        self.followed = name, timeout, until
        tell("Waiting for it.")
        if self.trouble:
            raise self.trouble


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> _Operator:
    made = _Operator()
    servers = Settings(
        vault=VaultSettings(address="http://v", auth=TokenFile("")),
        docker=DockerSettings("unix:///nowhere"),
    )
    configuration = Configuration(desired_of("api"), servers)
    monkeypatch.setattr(Options, "load", lambda _options, **_: configuration)
    monkeypatch.setattr(operate, "Operator", lambda _swarm, _desired, by: made)
    return made


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(("line", "asked", "more"), CALLS, ids=lambda value: str(value)[:40])
def test_what_a_command_asks_for(
    operator: _Operator, line: list[str], asked: tuple[str, tuple[Any, ...]], more: dict[str, Any]
) -> None:
    done = _run(*line)
    assert done.exit_code == 0, done.output
    assert (operator.asked, operator.more) == (asked, more)
    assert done.output == "It is asked for.\n"
    assert operator.followed is None


@pytest.mark.parametrize("command", WAITING)
def test_a_command_waits_until_services_are_rolled(operator: _Operator, command: str) -> None:
    done = _run(command, "--wait", "db", "--timeout", "90s")
    assert done.output == "It is asked for.\nWaiting for it.\nDone.\n"
    assert operator.followed == ("db", 90.0, Until.ROLLED)


@pytest.mark.parametrize("command", ["pause", "forget"])
def test_what_cannot_be_waited_for_has_no_option_for_it(operator: _Operator, command: str) -> None:
    assert "No such option" in _run(command, "db", "--wait").output


def test_a_rotation_waits_until_the_former_credential_is_over(operator: _Operator) -> None:
    _run("rotate", "--wait=ended", "db")
    assert operator.followed == ("db", 600.0, Until.ENDED)


@pytest.mark.parametrize("wait", [False, True])
def test_programs_get_one_document(operator: _Operator, wait: bool) -> None:
    done = _run("retry", "db", "--json", *(["--wait"] if wait else []))
    assert json.loads(done.output) == {"asked": "It is asked for.", "done": wait}


def test_programs_get_their_document_also_where_waiting_fails(operator: _Operator) -> None:
    operator.trouble = NotFollowed("not in time")
    done = _run("retry", "db", "--json", "--wait")
    assert done.exception is operator.trouble
    assert json.loads(done.output) == {"asked": "It is asked for.", "done": False}


def test_nothing_is_done_where_waiting_fails(operator: _Operator) -> None:
    operator.trouble = NotFollowed("not in time")
    assert _run("retry", "db", "--wait").output == "It is asked for.\nWaiting for it.\n"
