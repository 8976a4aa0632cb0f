"""Verifies Vault's signatures without Vault, by its exported public keys."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bridge.errors import BridgeError, Exit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_RAW = 32
_END = b"-----END PUBLIC KEY-----"


class BadPublicKey(BridgeError):
    """The file holds no public key that signatures can be verified with."""

    exit_code = Exit.USAGE


def checks_with(content: bytes, name: str) -> Callable[[str, str], str]:
    """Return what verifies a signature by public keys.

    Args:
        content: What `vault read -format=json transit/keys/NAME` prints; PEM, one key or several;
            or the base64 of Ed25519 keys.
        name: What the file is called.

    Raises:
        BadPublicKey: There is no key, or ``cryptography`` is not installed.
    """
    keys = _keys(content, name)

    def check(text: str, signature: str) -> str:
        try:
            raw = base64.b64decode(signature.rsplit(":", 1)[-1], validate=True)
        except (binascii.Error, ValueError):
            return "it is no signature of Vault"
        good = any(_is_valid(key, raw, text.encode()) for key in keys)
        return "" if good else "it is not one of this key for this chain"

    return check


def _keys(content: bytes, name: str) -> list[PublicKeyTypes]:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_public_key,
        )
    except ImportError:
        raise BadPublicKey(
            "verifying without Vault needs the package `cryptography`",
            hint="install `vault-swarm-bridge[evidence]`, or leave `--public-key` out",
        ) from None
    content = _from_vault(content)
    try:
        if _END in content:
            parts = content.split(_END)[:-1]
            return [load_pem_public_key(part + _END + b"\n") for part in parts]
        raws = [base64.b64decode(line, validate=True) for line in content.split()]
        if raws and all(len(raw) == _RAW for raw in raws):
            return [ed25519.Ed25519PublicKey.from_public_bytes(raw) for raw in raws]
    except ValueError:
        pass
    raise BadPublicKey(
        f"{name} holds no public key",
        hint="`vault read -format=json transit/keys/NAME` prints what is needed; PEM is read too",
    )


def _from_vault(content: bytes) -> bytes:
    """Return the public keys in an answer of Vault; anything else as it is."""
    try:
        keys = json.loads(content)["data"]["keys"].values()
        return "\n".join(str(key["public_key"]) for key in keys).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return content


def _is_valid(key: Any, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415
        ec,
        ed25519,
        padding,
        rsa,
    )

    try:
        match key:
            case ed25519.Ed25519PublicKey():
                key.verify(signature, text)
            case ec.EllipticCurvePublicKey():
                key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey():
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
                key.verify(signature, text, pss, hashes.SHA256())
            case _:
                return False
    except InvalidSignature:
        return False
    return True
