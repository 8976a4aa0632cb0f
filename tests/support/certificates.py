"""Keys and certificates for tests, made by openssl."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(
        ["openssl", *arguments], input=given, capture_output=True, check=True, timeout=60
    ).stdout


class Authority:
    """A private CA.

    Args:
        folder: For its files; made here.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.file = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"),
            *("-keyout", str(self._key), "-out", str(self.file)),
        )

    def issue(self, name: str, *addresses: str) -> tuple[Path, Path]:
        """Make a certificate for 127.0.0.1 and for clients; returns its file and its key's.

        Args:
            addresses: More addresses of the server.
        """
        request, certificate = self._folder / f"{name}.csr", self._folder / f"{name}.pem"
        key, more = self._folder / f"{name}.key", self._folder / f"{name}.ext"
        names = ",".join(f"IP:{address}" for address in ("127.0.0.1", *addresses))
        more.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.file), "-CAkey"),
            *(str(self._key), "-CAcreateserial", "-days", "2", "-extfile", str(more)),
            *("-out", str(certificate)),
        )
        return certificate, key


class Signer:
    """Signs JSON Web Tokens.

    Args:
        folder: For its key; made here.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._key = folder / "jwt.key"
        _openssl("genrsa", "-out", str(self._key), "2048")
        self.public = _openssl("rsa", "-in", str(self._key), "-pubout").decode()

    def sign(self, subject: str, seconds: float = 300) -> str:
        """Return a token for a subject that ends after so many seconds."""
        now = int(time.time())
        claims: dict[str, object] = {"sub": subject, "aud": "vault", "iss": "lab"}
        claims |= {"iat": now - 7200, "nbf": now - 7200, "exp": now + int(seconds)}
        signed = ".".join(
            _unpadded(json.dumps(part).encode())
            for part in ({"alg": "RS256", "typ": "JWT"}, claims)
        )
        signature = _openssl("dgst", "-sha256", "-sign", str(self._key), given=signed.encode())
        return f"{signed}.{_unpadded(signature)}"


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
