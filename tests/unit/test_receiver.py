"""Messages arrive at a real SMTP server and a real webhook, and no URL is told to anybody."""

from __future__ import annotations

import io
import re
import traceback
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from apprise.manager_plugins import NotificationManager

from bridge import logs
from bridge.errors import NotDelivered
from bridge.model.notification import Message, Receiver, Topic
from bridge.servers.receiver import SCHEMES, doubts, send, service_of
from tests.support.inbox import HangingInbox, MailInbox, WebInbox
from tests.support.lab import ROOT

CANARY = "canary-of-a-token"
MESSAGE = Message(
    Topic.FAILED, "Roll failed: db_password [vault-bridge b]", "v2 of *db* <x> failed"
)

At = Callable[[str], Receiver]


@pytest.fixture
def at(tmp_path: Path) -> At:
    """Return who has a URL in its file."""

    def made(url: str) -> Receiver:
        file = tmp_path / "url"
        file.write_text(f"# the channel of the team\n{url}\n")
        return Receiver(url_file=str(file))

    return made


@pytest.fixture
def web() -> Iterator[WebInbox]:
    made = WebInbox()
    yield made
    made.close()


@pytest.fixture
def mail() -> Iterator[MailInbox]:
    made = MailInbox()
    yield made
    made.close()


def test_a_webhook_gets_title_and_body_as_they_are(web: WebInbox, at: At) -> None:
    send(at(f"json://{web.address}/{CANARY}"), MESSAGE)
    (got,) = web.got
    assert (got["title"], got["message"], got["type"]) == (MESSAGE.title, MESSAGE.body, "failure")
    assert "attachments" not in {key for key, value in got.items() if value}


def test_a_mail_names_the_bridge_and_no_picture_of_somebody_else(mail: MailInbox, at: At) -> None:
    send(at(f"mailto://{mail.address}?from=bridge@example.net&to=team@example.net"), MESSAGE)
    (got,) = mail.got
    assert got.rcpt_tos == ["team@example.net"]
    assert isinstance(got.content, bytes)
    parsed = message_from_bytes(got.content, policy=default)
    assert parsed["Subject"] == MESSAGE.title
    text = got.content.decode()
    assert "http" not in text.replace("http-equiv", "")
    assert "db" in text


@pytest.mark.parametrize("status", [404, 302])
def test_what_is_not_accepted_is_told_without_the_url(
    web: WebInbox,
    at: At,
    status: int,
) -> None:
    """Nor is a redirect followed, which would lead past what `hosts` allows."""
    web.status, web.location = status, "/elsewhere" if status == 302 else ""
    with pytest.raises(NotDelivered) as refused:
        send(at(f"json://user:{CANARY}@{web.address}/{CANARY}"), MESSAGE)
    assert f"answered with {status}" in str(refused.value)
    assert web.paths == [f"/{CANARY}"]
    assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_nothing_that_apprise_logs_is_printed(at: At) -> None:
    """It quotes parts of URLs, and whole answers."""
    stream = io.StringIO()
    logs.configure(stream, level="debug")
    for url in (
        f"https://example.net/{CANARY}",
        f"json://127.0.0.1:1/{CANARY}",
        f"slack://{CANARY}",
    ):
        with pytest.raises(NotDelivered):
            send(at(url), MESSAGE)
    assert stream.getvalue() == ""


def test_nobody_there_and_no_answer(at: At) -> None:
    hanging = HangingInbox()
    url = f"json://{hanging.address}/{CANARY}?rto=0.2"
    with pytest.raises(NotDelivered, match="no connection, or no answer in time"):
        send(at(url), MESSAGE)
    hanging.close()
    with pytest.raises(NotDelivered, match="no connection, or no answer in time"):
        send(at(url), MESSAGE)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"https://example.net/{CANARY}", "does not understand"),
        (CANARY, "does not understand"),
        ("", "0 URLs"),
        (f"json://one/{CANARY}\njson://two/{CANARY}", "2 URLs"),
        ("syslog://", "syslog:// is not allowed"),
        ("json://169.254.169.254/latest", "link-local"),
        ("json://[::ffff:169.254.169.254]/latest", "link-local"),
        ("json://0.0.0.0/x", "link-local"),
        (
            f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?template=/etc/{CANARY}",
            "template",
        ),
    ],
)
def test_where_nothing_is_sent_to(at: At, url: str, why: str) -> None:
    for ask in (doubts, lambda receiver: send(receiver, MESSAGE)):
        with pytest.raises(NotDelivered, match=why) as refused:
            ask(at(url))
        assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_what_the_entry_allows(web: WebInbox, at: At, tmp_path: Path) -> None:
    receiver = at(f"json://{web.address}/x")
    file = receiver.url_file
    for refused in (
        Receiver(url_file=file, schemes=("slack",)),
        Receiver(url_file=file, hosts=("*.example.net",)),
    ):
        with pytest.raises(NotDelivered):
            send(refused, MESSAGE)
    assert web.got == []
    send(Receiver(url_file=file, schemes=("json",), hosts=("127.0.0.*",)), MESSAGE)
    assert len(web.got) == 1
    mailto = at("mailto://user:x@example.net?smtp=127.0.0.1&to=a@example.net").url_file
    with pytest.raises(NotDelivered, match="none of `hosts`"):
        service_of(Receiver(url_file=mailto, hosts=("*example.net",)))
    with pytest.raises(NotDelivered, match="cannot be read: No such file"):
        send(Receiver(url_file=str(tmp_path / "none")), MESSAGE)


def test_what_is_probably_not_meant(at: At) -> None:
    assert doubts(at("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")) == ()
    assert doubts(at("jsons://127.0.0.1/x")) == ()
    (plain,) = doubts(at(f"json://127.0.0.1/{CANARY}"))
    assert plain == "json:// crosses the network in clear text"
    (unverified,) = doubts(at(f"jsons://127.0.0.1/{CANARY}?verify=no"))
    assert "verify=no" in unverified


def test_the_urls_of_the_how_to_are_understood(at: At) -> None:
    page = (ROOT / "docs/how-to/get-notified.md").read_text()
    urls = [
        url for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) for url in block.split()
    ]
    assert [service_of(at(url)).schema for url in urls] == [
        "slack",
        "workflow",
        "mailtos",
        "mailto",
        "pagerduty",
        "jsons",
    ]


def test_what_is_allowed_from_the_start_is_known_to_apprise(at: At) -> None:
    service_of(at("json://127.0.0.1/x"))
    known: Any = NotificationManager
    assert set(SCHEMES) <= set(known().schemas())
