"""Vault's HTTP API.

``http`` sends requests, ``login`` keeps a token alive, ``session`` joins both; ``kv`` reads values,
``leases`` issues credentials and keeps them, ``static`` rotates those of static roles.
"""

from bridge.servers.vault.kv import Vault
from bridge.servers.vault.leases import Issued, Leases

__all__ = ["Issued", "Leases", "Vault"]
