"""The command line's own promises, which need no server."""

from __future__ import annotations

import itertools
from typing import NoReturn

import click
import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.cli.option_values import seconds, version
from bridge.cli.shared import DEFAULT_CONFIG, Options
from bridge.errors import BridgeError

NAMED = {"rollback", "retry", "rotate", "resync", "approve", "forget"}
_ANY = click.Context(cli), cli.params[0]
WITHOUT_CONFIGURATION = {"init"}
"""It writes the configuration that the others read."""
COMMANDS = [
    [name, *(["db"] if name in NAMED else [])]
    for name in sorted(cli.commands.keys() - WITHOUT_CONFIGURATION)
]


class Line:
    """Runs a command line up to the reading of the configuration, and keeps what it asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[Options] = []

        def load(options: Options, **_: object) -> NoReturn:
            self.seen.append(options)
            raise BridgeError("far enough")

        monkeypatch.setattr(Options, "load", load)

    def run(self, *arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(cli, arguments, env={"BRIDGE_CONFIG": None, **environ})

    def __call__(self, *arguments: str, **environ: str) -> Options:
        """Return what a command line asks for."""
        done = self.run(*arguments, **environ)
        assert isinstance(done.exception, BridgeError), done.output
        return self.seen.pop()


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_common_options_stand_before_or_behind_every_command(
    line: Line, command: list[str]
) -> None:
    wanted = Options("x.yaml", verbose=True, as_json=True)
    given = (["-c", "x.yaml"], ["-v"], ["--json"])
    for behind in itertools.product((False, True), repeat=3):
        places: tuple[list[str], list[str]] = ([], [])
        for words, place in zip(given, behind, strict=True):
            places[place].extend(words)
        assert line(*places[False], *command, *places[True]) == wanted
    name, *arguments = command
    assert line(name, "--verbose", "--json", "--config=x.yaml", *arguments) == wanted
    assert line(*command) == Options(DEFAULT_CONFIG, verbose=False, as_json=False)


def test_the_configuration_named_last_is_taken(line: Line) -> None:
    """As with any option of a command line; the environment is asked where none is named."""
    assert line("-c", "a", "status", "-c", "b").config == "b"
    assert line("-c", "a", "-c", "b", "status").config == "b"
    assert line("-c", "a", "status").config == "a"
    assert line("status", BRIDGE_CONFIG="env").config == "env"
    assert line("-c", "a", "status", BRIDGE_CONFIG="env").config == "a"
    assert line("status", "-c", "b", BRIDGE_CONFIG="env").config == "b"


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_help_tells_a_command_s_own_options_from_those_of_all(line: Line, command: str) -> None:
    said = line.run(command, "--help").output
    own, common = said.split("\nOptions of every command:\n")
    for name in ("-c, --config", "-v, --verbose", "--json"):
        assert name in common
        assert name not in own
    assert DEFAULT_CONFIG in common
    assert line.run(command, "-h").output == said


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("90", 90), ("0", 0), ("1.5", 1.5), ("90s", 90), ("1m30s", 90), ("10 m", 600), ("500ms", 0.5)],
)
def test_a_timeout_is_seconds_or_a_duration(written: str, wanted: float) -> None:
    assert seconds(*_ANY, written) == pytest.approx(wanted)


@pytest.mark.parametrize("written", ["soon", "-1", "nan", "inf", "1w", ""])
def test_what_is_no_timeout_is_answered_with_one(line: Line, written: str) -> None:
    for words in (["sync"], ["retry", "db"]):
        done = line.run(*words, f"--timeout={written}")
        assert done.exit_code == 2
        assert "10m" in done.output


@pytest.mark.parametrize("written", ["3", "v3", "V3"])
def test_a_version_is_written_as_status_shows_it(line: Line, written: str) -> None:
    assert version(*_ANY, written) == 3
    assert line("rollback", "db", "--to", written)


@pytest.mark.parametrize("written", ["0", "v0", "-1", "three", "db_v3", "3.0"])
def test_what_is_no_version_is_answered_with_one(line: Line, written: str) -> None:
    done = line.run("rollback", "db", f"--to={written}")
    assert done.exit_code == 2
    assert "v7" in done.output
