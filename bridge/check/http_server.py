"""Checks the files of the HTTP server; whether its port is free, a running bridge knows."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.errors import Exit
from bridge.http_files import BadWebFile, Token, server_context
from bridge.model.findings import Finding, Level
from bridge.model.settings import HttpSettings


def check_http(settings: HttpSettings) -> Iterator[Finding]:
    """Report whether the bridge can answer over HTTP as it is configured."""
    try:
        if settings.cert_file:
            server_context(settings.cert_file, settings.key_file)
        if settings.token_file:
            Token(settings.token_file)
    except BadWebFile as error:
        message = f"{error}; until then nothing is answered, and rotations go on"
        yield Finding(Level.ERROR, "http", message, Exit.HELD)
        return
    who = "for this machine alone" if settings.local else "for other machines too"
    secured = "with TLS" if settings.cert_file else "in clear text"
    asked = "a token is needed" if settings.token_file else "no token is needed"
    yield Finding(Level.OK, "http", f"answers {who}, {secured}; {asked}")
