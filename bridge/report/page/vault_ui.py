"""Links to Vault's own user interface: where whoever may can look, or write a new version."""

from __future__ import annotations

from urllib.parse import quote

from bridge.model.source import Source


def link_to(address: str, source: Source) -> str:
    """Return the page of a path or role; empty where there is no address or no such page.

    The addresses are those of OpenBao and of Vault before 1.15, which newer ones redirect.

    Args:
        address: ``vault.ui_address``, as in ``https://vault.example.net``; empty for no links.
    """
    place, query = source.ui_place
    if not address or not place:
        return ""
    mount, path = quote(source.mount, safe=""), quote(place, safe="/")
    asked = [query] if query else []
    asked += [f"namespace={quote(source.namespace, safe='')}"] if source.namespace else []
    tail = "?" + "&".join(asked) if asked else ""
    return f"{address.rstrip('/')}/ui/vault/secrets/{mount}/{path}{tail}"
