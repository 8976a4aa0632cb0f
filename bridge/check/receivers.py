"""Can each receiver of notifications be told of something? Nothing is sent, and no URL is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.errors import Exit, NotDelivered
from bridge.model.findings import Finding, Level
from bridge.model.notification import Receiver
from bridge.servers.receiver import doubts


def check_receivers(receivers: Iterable[Receiver]) -> Iterator[Finding]:
    """Report on the file, the URL and what is allowed, for each entry of ``notify``."""
    for place, receiver in enumerate(receivers):
        where = f"notify[{place}]"
        try:
            found = doubts(receiver)
        except NotDelivered as error:
            yield Finding(Level.ERROR, where, str(error), Exit.USAGE)
            continue
        for doubt in found:
            yield Finding(Level.WARNING, where, f"{receiver.url_file}: {doubt}")
        if not found:
            message = f"the URL in {receiver.url_file} is understood and allowed"
            yield Finding(Level.OK, where, f"{message}; `vault-bridge notify --test` sends")
