"""Vault's HTTP API.

``http`` sends requests, ``login`` keeps a token alive, ``session`` joins both; ``kv`` reads values,
``folders`` the metadata of many paths at once,
``leases`` issues credentials and keeps them, ``static`` rotates those of static roles; ``client``
is all of that with one login.
"""

from bridge.servers.vault.client import Vault
from bridge.servers.vault.leases import Issued, Leases

__all__ = ["Issued", "Leases", "Vault"]
