"""The least that the engine must grant, as a filtering proxy's configuration and as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.model.engine_rights import RIGHTS, Right

LISTEN = "/run/engine/engine.sock"
"""Where the stack's proxy listens, in a volume that only it and the bridge have."""

ENGINE = "/var/run/docker.sock"

_AWAY = "the engine does not answer the proxy before it"
_REFUSED = '{"message":"the proxy before the engine lets no %[method] %[path,json] through"}'

_HEAD = """\
# The filtering proxy before the engine, for HAProxy 2.6 or newer: it lets through what vault-bridge
# calls, and nothing else. Made by `vault-bridge policy --engine`; change nothing by hand.
global
    log stdout format raw local0 info
    maxconn 200

defaults
    mode http
    log global
    # No body is ever logged: those of `POST /secrets/create` are the secrets themselves.
    log-format "%ST %HM %HU"
    timeout connect 5s
    # An answer takes 20 s while the swarm has no leader; of events there are none for up to 120 s.
    timeout client 150s
    timeout server 150s
    timeout http-request 10s
    http-error status 502 content-type application/json string '{"message":"{away}"}'
    http-error status 503 content-type application/json string '{"message":"{away}"}'
    http-error status 504 content-type application/json string '{"message":"{away}"}'

frontend bridge
    bind {listen} mode 660
    default_backend engine
    # It would replace the credentials by which a service pulls its image.
    http-request del-header X-Registry-Auth
    # Looks are not logged: there are several in a second. What writes is, and what is refused.
{quiet}
"""

QUIET = "    http-request set-log-level silent if METH_GET"

_TAIL = """\
    http-request set-log-level warning
    http-request deny deny_status 403 content-type application/json lf-string '{refused}'

backend engine
    server engine unix@{engine} maxconn 100
"""


def haproxy(listen: str = LISTEN, engine: str = ENGINE) -> str:
    """Write a whole configuration of HAProxy.

    Args:
        listen: The Unix socket that the bridge connects to.
        engine: The engine's own.
    """
    rules = "\n".join(line for right in RIGHTS for line in _rule(right))
    head = _HEAD.replace("{listen}", listen).replace("{away}", _AWAY).replace("{quiet}", QUIET)
    return f"{head}{rules}\n{_TAIL.replace('{refused}', _REFUSED).replace('{engine}', engine)}"


def _rule(right: Right) -> Iterator[str]:
    rule = f"http-request allow if {{ method {right.method} }} {{ pathq -m reg '{right.pattern}' }}"
    off = "not needed to run, and off: " if right.optional else ""
    yield f"    # {right}: {off}{right.why}"
    yield f"    {'# ' if right.optional else ''}{rule}"


def table() -> Iterator[str]:
    """Write the same as a table in Markdown, line by line."""
    yield "| call | query | needed to |"
    yield "| --- | --- | --- |"
    for right in RIGHTS:
        query = f"`{right.query}`" if right.query else "-"
        off = "*Not needed to run, and off.* " if right.optional else ""
        yield f"| `{right}` | {query} | {off}{right.why} |"


def rights_json() -> list[dict[str, Any]]:
    """Return the same for programs; ``pattern`` is of whole paths with their query."""
    return [
        {
            "method": right.method,
            "path": right.path,
            "pattern": right.pattern,
            "optional": right.optional,
            "why": right.why,
        }
        for right in RIGHTS
    ]
