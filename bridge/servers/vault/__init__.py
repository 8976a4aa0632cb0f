"""Vault's HTTP API: ``http`` sends requests, ``login`` keeps a token alive, ``kv`` reads."""

from bridge.servers.vault.kv import Vault

__all__ = ["Vault"]
