"""Vault as an administrator's token sees it: for what is written once, before a first start.

The running bridge has no such token, and no part in this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import requests

from bridge.clock import boot_clock
from bridge.errors import VaultRefused, VaultUnreachable
from bridge.model.content.payload import Concealed
from bridge.model.reasons import Reason
from bridge.model.settings import TokenFile, VaultSettings
from bridge.servers.vault.http import Answer, Http, Json, RateLimit


@dataclass(frozen=True, slots=True)
class SecretId:
    """A fresh secret id of an AppRole, and what it is ended by."""

    value: Concealed
    accessor: str = field(repr=False)


class Admin:
    """Reads and writes with an administrator's token.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, and
    ``VaultRefused`` where it does not allow what is asked.
    """

    def __init__(self, settings: VaultSettings, token: str) -> None:
        # No login of the bridge's own: its certificate may not even be there.
        settings = replace(settings, auth=TokenFile(""))
        self._http = Http(settings, RateLimit(settings.max_rps, boot_clock))
        self._token = token

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def find(self, path: str) -> Json | None:
        """Return what is at an API path; None where there is nothing."""
        try:
            answer = self._http.get(quote(path), self._token)
        except Answer as error:
            if _is_absent(error, path):
                return None
            raise _refused(error, path, "read") from None
        data = answer.get("data") if isinstance(answer, dict) else None
        return data if isinstance(data, dict) else {}

    def write(self, path: str, fields: Mapping[str, str]) -> Json:
        """Write; returns what the answer has as ``data``."""
        try:
            answer = self._http.post(quote(path), self._token, dict(fields), write=True)
        except Answer as error:
            raise _refused(error, path, "update") from None
        data: Any = answer.get("data") if isinstance(answer, dict) else None
        return data if isinstance(data, dict) else {}

    def role_id(self, role: str) -> str:
        """Return the id of the AppRole at a path; empty where there is no such role."""
        found = self.find(f"{role}/role-id") or {}
        return str(found.get("role_id", ""))

    def new_secret_id(self, role: str) -> SecretId:
        """Have a secret id made for the AppRole at a path."""
        made = self.write(f"{role}/secret-id", {})
        try:
            value = Concealed(str(made["secret_id"]).encode())
            return SecretId(value, str(made["secret_id_accessor"]))
        except KeyError:
            raise VaultUnreachable("Vault's answer is not understood") from None

    def end_secret_id(self, role: str, made: SecretId) -> None:
        """End a secret id that nobody has been given."""
        place = f"{role}/secret-id-accessor/destroy"
        self.write(place, {"secret_id_accessor": made.accessor})


def _is_absent(error: Answer, path: str) -> bool:
    if error.status == requests.codes.not_found:
        return True
    # Of an auth method that is not enabled: ``400 No auth engine at approle/``.
    return path.startswith("sys/auth/") and error.status == requests.codes.bad_request


def _refused(error: Answer, path: str, capability: str) -> VaultRefused:
    if error.forbidden:
        return VaultRefused(
            Reason.PERMISSION_DENIED,
            f"Vault refuses the administrator's token at {path}",
            hint=f'it is dead, or has no `{capability}` on "{path}"',
        )
    return VaultRefused(
        Reason.VAULT_REFUSED, f"Vault refuses {capability} of {path} ({error.text})"
    )
