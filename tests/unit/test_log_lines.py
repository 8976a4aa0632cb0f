"""Every event that is logged is in the table, and the options choose what is written."""

from __future__ import annotations

import ast
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge import logs
from bridge.cli import cli
from bridge.model.events import EVENTS, EVERY_LINE, FIELDS, Event
from tests.support.log_lines import log_lines, must_be_log_lines

_BRIDGE = Path(logs.__file__).parent
_METHODS = {"debug", "info", "warning", "error"}


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call that writes a line of the log."""
    for file in sorted(_BRIDGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _METHODS
                and "log" in ast.unparse(node.func.value)
            ):
                yield f"{file.name}:{node.lineno}", node


def test_no_line_is_logged_with_words_in_place_of_an_event() -> None:
    """The table in ``model/events.py`` is what people search by."""
    found = list(_calls())
    assert len(found) > 15
    wrong = [
        place for place, call in found if isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert not wrong


def test_no_line_has_a_field_that_the_reference_does_not_know() -> None:
    given = {k.arg for _, call in _calls() for k in call.keywords if k.arg}
    assert given - FIELDS.keys() == set()


def test_the_table_is_whole() -> None:
    assert set(EVENTS) == set(Event)
    named = {field for about in EVENTS.values() for field in about.has} | set(EVERY_LINE)
    assert named <= FIELDS.keys()


def test_each_line_has_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_own", {})  # of the process: other tests have no name
    stream = io.StringIO()
    logs.configure(stream)
    logs.identify("shop", "manager-1")
    logs.logger().info(Event.LEADS)
    must_be_log_lines(stream.getvalue())
    (line,) = log_lines(stream.getvalue())
    assert (line["instance"], line["bridge"]) == ("shop", "manager-1")


def test_what_is_no_line_of_the_schema_is_found() -> None:
    for wrong in ({"event": "leads"}, {"event": "unheard_of"}):
        line = {"timestamp": "2026-11-25T00:00:00Z", "level": "info", **wrong}
        with pytest.raises(AssertionError):
            must_be_log_lines(json.dumps(line))


@pytest.mark.parametrize(
    ("arguments", "environ", "level", "form"),
    [
        ([], {}, "", ""),
        (["--log-level", "warning", "policy"], {}, "warning", ""),
        (["policy", "--log-level", "error", "--log-format", "text"], {}, "error", "text"),
        (["policy"], {"BRIDGE_LOG_LEVEL": "DEBUG", "BRIDGE_LOG_FORMAT": "json"}, "debug", "json"),
        (["policy", "-v"], {}, "debug", ""),
        (["policy", "-v", "--log-level", "info"], {}, "info", ""),
        (["policy", "--json"], {}, "", "json"),
    ],
)
def test_the_options_of_the_log(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environ: dict[str, str],
    level: str,
    form: str,
) -> None:
    seen: list[tuple[str, str]] = []

    def configure(*, level: str, form: str, quiet: bool) -> None:
        seen.append((level, form))

    monkeypatch.setattr(logs, "configure", configure)
    CliRunner().invoke(cli, ["-c", "none.yaml", *(arguments or ["policy"])], env=environ)
    assert seen == [(level, form)]


@pytest.mark.parametrize(("level", "lines"), [("", 1), ("warning", 0), ("debug", 2)])
def test_a_level_leaves_out_what_is_below(level: str, lines: int) -> None:
    stream = io.StringIO()
    logs.configure(stream, level=level)
    logs.logger().info(Event.LEADS)
    logs.logger().debug(Event.NOTED)
    assert len(stream.getvalue().splitlines()) == lines


def test_text_where_it_is_asked_for() -> None:
    stream = io.StringIO()
    logs.configure(stream, form="text")
    logs.logger().info(Event.STANDS_BY, leader="manager-2")
    assert "stands_by" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()  # no colour where there is no terminal
    assert not stream.getvalue().startswith("{")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    logs.configure(sys.stderr)
