"""Signatures by Vault's transit engine: the private key never leaves Vault."""

from __future__ import annotations

import base64
from urllib.parse import quote

from bridge.errors import VaultError, VaultRefused, VaultUnreachable
from bridge.model.reasons import Reason
from bridge.model.settings import TransitKey
from bridge.servers.vault.http import Answer, Json
from bridge.servers.vault.session import Session, data_of


class Transit:
    """Signs and verifies with one key.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, and ``VaultRefused`` where it refuses the key.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def sign(self, key: TransitKey, text: str) -> str:
        """Return Vault's signature of a text, as in ``vault:v1:...``."""
        data = self._ask(key, "sign", {"input": _encoded(text)})
        signature = data.get("signature")
        if not isinstance(signature, str):
            raise VaultUnreachable("Vault's answer to a request for a signature is not understood")
        return signature

    def is_valid(self, key: TransitKey, text: str, signature: str) -> bool:
        """Return whether a signature is one of this key for a text."""
        body = {"input": _encoded(text), "signature": signature}
        return bool(self._ask(key, "verify", body).get("valid"))

    def _ask(self, key: TransitKey, verb: str, body: Json) -> Json:
        place = f"{key.mount}/{verb}/{key.key}"
        try:
            return data_of(self._session.ask(quote(place), body))
        except Answer as error:
            raise _refusal(error, place) from None


def _refusal(error: Answer, place: str) -> VaultError:
    if error.forbidden:
        return VaultRefused(
            Reason.PERMISSION_DENIED,
            f"our token may not use {place}",
            hint=f'grant `update` on "{place}": `vault-bridge policy` has the line',
        )
    return VaultRefused(Reason.VAULT_REFUSED, f"Vault answered {error.text} for {place}")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
