"""`check` judges who is told and sends nothing; `notify --test` sends one message to each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge import logs
from bridge.check.receivers import check_receivers
from bridge.cli import cli
from bridge.errors import Exit
from bridge.model.findings import Level
from bridge.model.notification import Receiver
from tests.support.inbox import WebInbox

CANARY = "canary-of-a-token"
VAULT = "vault: {address: 'http://127.0.0.1:1', auth: {method: token, token_file: t}}\n"


@pytest.fixture
def inbox() -> Iterator[WebInbox]:
    made = WebInbox()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_own", {})  # commands give the process a name, for its log


def _config(folder: Path, *urls: str) -> str:
    entries = ""
    for number, url in enumerate(urls):
        (folder / f"url-{number}").write_text(url)
        entries += f"  - {{url_file: url-{number}}}\n"
    file = folder / "bridge.yaml"
    file.write_text(VAULT + (f"notify:\n{entries}" if urls else ""))
    return str(file)


def test_each_receiver_is_tried_and_none_shown(tmp_path: Path, inbox: WebInbox) -> None:
    good, bad = f"json://{inbox.address}/{CANARY}", f"nonsense://{CANARY}"
    file = _config(tmp_path, good, bad)
    done = CliRunner().invoke(cli, ["-c", file, "notify", "--test", "--json"])
    found = json.loads(done.stdout)["findings"]
    assert [(each["level"], each["where"]) for each in found] == [
        ("ok", "notify[0]"),
        ("error", "notify[1]"),
    ]
    assert "does not understand" in found[1]["message"]
    assert inbox.titles == ["Test [vault-bridge default]"]
    assert done.exit_code == Exit.UNREACHABLE
    assert CANARY not in done.output
    done = CliRunner().invoke(cli, ["-c", _config(tmp_path, good), "notify", "--test"])
    assert done.exit_code == Exit.DONE
    assert "notify[0]" in done.output
    assert "accepted" in done.output


@pytest.mark.parametrize(
    ("arguments", "urls", "why"),
    [(["notify"], ("x://",), "`--test` is needed"), (["notify", "--test"], (), "no `notify`")],
)
def test_there_is_nothing_else_to_send(
    tmp_path: Path, arguments: list[str], urls: tuple[str, ...], why: str
) -> None:
    done = CliRunner().invoke(cli, ["-c", _config(tmp_path, *urls), *arguments])
    assert done.exit_code == Exit.USAGE
    assert why in done.output


def test_check_judges_file_and_url_and_sends_nothing(tmp_path: Path, inbox: WebInbox) -> None:
    receivers = []
    for number, url in enumerate(
        (f"json://{inbox.address}/{CANARY}", f"jsons://127.0.0.1/{CANARY}", "syslog://")
    ):
        file = tmp_path / f"url-{number}"
        file.write_text(url)
        receivers.append(Receiver(url_file=str(file)))
    found = list(check_receivers([*receivers, Receiver(url_file=str(tmp_path / "none"))]))
    assert [each.level for each in found] == [Level.WARNING, Level.OK, Level.ERROR, Level.ERROR]
    assert [each.where for each in found] == [f"notify[{number}]" for number in range(4)]
    assert max(each.code for each in found) == Exit.USAGE
    assert "clear text" in found[0].message
    assert "is not allowed" in found[2].message
    assert "cannot be read" in found[3].message
    assert CANARY not in repr(found)
    assert inbox.paths == []
