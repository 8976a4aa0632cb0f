"""Sends a notification by Apprise, the one library for mail, chats, pagers and webhooks.

The URL of a receiver is a credential, and so are parts of what Apprise tells of it: nothing that
Apprise logs is printed, and no error here has more than a scheme, a status and a kind of failure.
Apprise is imported with the first message, since it takes a second and some 50 MB.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import threading
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bridge.errors import NotDelivered
from bridge.model.notification import Message, Receiver, Topic

_COMMON = """
    discord form forms gchat goalert goalerts gotify gotifys hassio hassios ilert incidentio
    jira json jsons lark mailgun mailto mailtos matrix matrixs mmost mmosts ncloud nclouds
    nctalk nctalks ntfy ntfys o365 opsgenie pagerduty pagertree postmark pover rocket rockets
    sendgrid ses signl4 slack smtp2go sns sparkpost spike splunk squadcast synology synologys
    tgram twilio victorops webex workflow workflows wxteams xml xmls zulip
"""
SCHEMES = tuple(_COMMON.split())
"""Schemes that a URL may have where the configuration names none.

Left out is what acts on the machine itself (``syslog``, ``dbus``, ``windows``), what speaks to the
neighbourhood, and what few have: ``schemes`` allows it.
"""

_TYPES = {
    Topic.FAILED: "failure",
    Topic.RECOVERED: "success",
    Topic.ROTATED: "info",
}


def send(receiver: Receiver, message: Message) -> None:
    """Send a message, and wait for its acceptance.

    Raises:
        NotDelivered: It was not accepted, or may not be sent to where the URL points.
    """
    service = service_of(receiver)
    with suppress(OSError):  # a proxy may know the host
        _refuse_link_local(service, receiver)
    kind = _TYPES.get(message.event, "warning")
    _heard.words = []
    try:
        accepted = service.notify(
            title=message.title, body=message.body, notify_type=kind, body_format="text"
        )
    except Exception as error:  # noqa: BLE001 - its message may hold the URL
        raise NotDelivered(f"{_shown(receiver, service)}: {type(error).__name__}") from None
    if not accepted:
        raise NotDelivered(f"{_shown(receiver, service)}: {_why(_heard.words)}")


def doubts(receiver: Receiver) -> tuple[str, ...]:
    """Return what is allowed about a receiver's URL and probably not meant; nothing is sent.

    Raises:
        NotDelivered: No message can be sent to it.
    """
    service = service_of(receiver)
    found = []
    try:
        _refuse_link_local(service, receiver)
    except OSError:
        found.append("the host in its URL cannot be resolved from here")
    secure = service.secure_protocol
    has_secure = secure and service.schema not in ((secure,) if isinstance(secure, str) else secure)
    if has_secure and not service.secure:
        found.append(f"{service.schema}:// crosses the network in clear text")
    if not service.verify_certificate:
        found.append("`verify=no` in its URL: whoever is in between can read and change it")
    return tuple(found)


def service_of(receiver: Receiver) -> Any:
    """Return Apprise's service for a receiver, which may be used.

    Raises:
        NotDelivered: The file cannot be read, or its URL is not understood or not allowed.
    """
    url = _url(receiver.url_file)
    apprise = _apprise()
    asset = apprise.AppriseAsset(
        app_id="vault-swarm-bridge",
        app_desc="vault-swarm-bridge",
        app_url="",
        image_url_mask="",  # pictures would be loaded from somebody else's server
        image_url_logo="",
        http_redirects=False,
        storage_mode="memory",
        secure_logging=True,
        plugin_paths=[],
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        raise NotDelivered(
            f"Apprise does not understand the URL in {receiver.url_file}",
            hint="its scheme says what kind of receiver it is, as in slack:// or mailtos://",
        )
    service.redirects = False  # a host that is allowed must not name another one
    _refuse(service, receiver)
    return service


def _url(file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise NotDelivered(f"{file} cannot be read: {why}") from None
    lines = [line for each in text.splitlines() if (line := each.strip()) and line[0] != "#"]
    if len(lines) != 1:
        raise NotDelivered(f"{file} has {len(lines)} URLs", hint="one is needed, in a line")
    return lines[0]


def _refuse(service: Any, receiver: Receiver) -> None:
    schemes = receiver.schemes or SCHEMES
    if service.schema not in schemes:
        raise NotDelivered(
            f"{receiver.url_file}: {service.schema}:// is not allowed",
            hint="name it in `schemes` of the entry, if it is meant",
        )
    host = _host(service)
    if receiver.hosts and host and not _is_allowed(host, receiver):
        raise NotDelivered(f"{receiver.url_file}: the host in its URL is none of `hosts`")
    if getattr(service, "template", None):
        raise NotDelivered(f"{receiver.url_file}: `template` in its URL would read another file")


def _host(service: Any) -> str:
    """Return the host that a URL names; empty where the service has one of its own, as Slack."""
    host = getattr(service, "smtp_host", None)
    if not host and "host" in service.template_tokens:
        host = service.host
    return str(host or "").lower().strip("[]")


def _is_allowed(host: str, receiver: Receiver) -> bool:
    return any(fnmatchcase(host, pattern.lower()) for pattern in receiver.hosts)


def _refuse_link_local(service: Any, receiver: Receiver) -> None:
    """Refuse what only this machine reaches, as the metadata of clouds, unless `hosts` names it.

    Raises:
        NotDelivered: It is such a host.
        OSError: The host cannot be resolved.
    """
    host = _host(service)
    if not host or receiver.hosts:
        return
    for *_, address in socket.getaddrinfo(host, None):
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        if found.is_link_local or found.is_multicast or found.is_unspecified:
            raise NotDelivered(
                f"{receiver.url_file}: the host in its URL is link-local",
                hint="name it in `hosts` of the entry, if it is meant",
            )


# --- what Apprise logs ----------------------------------------------------------------------------


class _Heard(threading.local):
    """What Apprise logged in this thread; it may hold tokens, so none of it is printed."""

    def __init__(self) -> None:
        self.words: list[str] = []


_heard = _Heard()


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _heard.words.append(record.getMessage())


def _apprise() -> Any:
    """Import Apprise, with a logger that nobody prints."""
    log = logging.getLogger("apprise")
    if not any(isinstance(handler, _Listener) for handler in log.handlers):
        log.propagate = False
        log.handlers = [_Listener()]
        log.setLevel(logging.WARNING)
    import apprise  # noqa: PLC0415 - see above

    return apprise


def _why(words: list[str]) -> str:
    """Return why a message was not accepted, without a byte of what was logged but a status."""
    told = " ".join(words)
    if status := re.search(r"error=(\d{3})\b", told):
        return f"answered with {status[1]}"
    if re.search(r"connection error|socket", told, re.IGNORECASE):
        return "no connection, or no answer in time"
    return "not accepted"


def _shown(receiver: Receiver, service: Any) -> str:
    return f"{receiver.url_file} ({service.schema}://)"
