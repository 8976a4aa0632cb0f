"""What the bridge logs in with: files, read again at each login, and what is sent of them."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import assert_never

from bridge.errors import LoginRefused, VaultUnreachable
from bridge.model.settings import AppRole, Auth, CertLogin, JwtLogin, TokenFile
from bridge.servers.vault.http import Answer, Http, Json

Files = tuple[bytes, ...]
"""What the files of a method hold, by which one credential is told from another."""

Method = AppRole | JwtLogin | CertLogin
"""The methods that ask Vault for a token."""


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_of(content: bytes) -> str:
    """Return what a file says, without what editors and shells leave: newlines, a mark of order."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding, errors="replace").strip()


class Credential:
    """The files of the configured method."""

    def __init__(self, http: Http, auth: Auth) -> None:
        self._http = http
        self._auth = auth
        self._unwrapped: tuple[bytes, str] | None = None

    @property
    def method(self) -> str:
        """Name the method, for people."""
        match self._auth:
            case AppRole():
                return "AppRole"
            case JwtLogin():
                return "JWT"
            case CertLogin():
                return "certificate"
            case TokenFile():
                return "token"
            case _:
                assert_never(self._auth)

    @property
    def names(self) -> tuple[str, ...]:
        """Name the files."""
        match self._auth:
            case TokenFile(token_file):
                return (token_file,)
            case AppRole(role_id_file, secret_id_file):
                return (role_id_file, secret_id_file)
            case JwtLogin(_, jwt_file):
                return (jwt_file,)
            case CertLogin(_, cert_file, key_file):
                return (cert_file, key_file)
            case _:
                assert_never(self._auth)

    @property
    def secret_id(self) -> str:
        """The secret id of the latest login."""
        if self._unwrapped is None:
            raise AssertionError("there was no login")
        return self._unwrapped[1]

    def read(self) -> Files:
        """Read the files; empty where that fails, or where one cannot be a credential."""
        try:
            files = tuple(Path(name).read_bytes() for name in self.names)
        except OSError:
            return ()
        return () if any(map(self._fault, self.names, files)) else files

    def unreadable(self) -> LoginRefused:
        """Return the error that names a file that cannot be used."""
        for name in self.names:
            try:
                fault = self._fault(name, Path(name).read_bytes())
            except OSError as error:
                return LoginRefused(
                    f"cannot read {name} ({error.strerror})",
                    hint="it holds the credential for Vault, see `vault.auth`",
                )
            if fault:
                return LoginRefused(f"{name} {fault}")
        return LoginRefused("the credential's files are just being written")

    def _fault(self, name: str, content: bytes) -> str:
        """Return why a file cannot be a credential, without a byte of it."""
        text = text_of(content)
        if not text:
            return "is empty: it is to hold the credential for Vault, see `vault.auth`"
        if name == self._token_file and not all("!" <= letter <= "~" for letter in text):
            return "holds more than a token: write one token into it, and nothing else"
        return ""

    @property
    def _token_file(self) -> str:
        """Name the file whose text is sent as a token."""
        match self._auth:
            case TokenFile(token_file):
                return token_file
            case AppRole(_, secret_id_file) if self._auth.secret_id_wrapped:
                return secret_id_file
            case _:
                return ""

    def login_body(self, files: Files) -> Json:
        """Return what is sent to log in.

        Raises:
            LoginRefused: A wrapped secret id is not what it should be.
            VaultUnreachable: Vault gives no usable answer.
        """
        match self._auth:
            case AppRole():
                self._unwrap(self._auth, files[1])
                return {"role_id": text_of(files[0]), "secret_id": self.secret_id}
            case JwtLogin(role):
                return {"role": role, "jwt": text_of(files[0])}
            case CertLogin(role):
                self._http.close()  # the files may be fresh
                return {"name": role}
            case TokenFile():
                raise AssertionError("a token needs no login")
            case _:
                assert_never(self._auth)

    def _unwrap(self, auth: AppRole, content: bytes) -> None:
        """Find the secret id; a wrapped one is opened once and then kept in memory."""
        text = text_of(content)
        if not auth.secret_id_wrapped:
            self._unwrapped = content, text
        elif self._unwrapped is None or self._unwrapped[0] != content:
            self._check_wrapping(auth, text)
            try:
                data = self._http.post("sys/wrapping/unwrap", text, {})["data"]
                self._unwrapped = content, str(data["secret_id"])
            except Answer:
                raise _opened_before(auth) from None
            except (KeyError, TypeError):
                raise VaultUnreachable("the unwrapped answer is not understood") from None

    def _check_wrapping(self, auth: AppRole, token: str) -> None:
        """Make sure that it wraps a secret id of our mount, before it is used up."""
        try:
            data = self._http.post("sys/wrapping/lookup", "", {"token": token})["data"]
            path = str(data["creation_path"])
        except Answer:
            raise _opened_before(auth) from None
        except (KeyError, TypeError):
            raise VaultUnreachable("Vault's answer is not understood") from None
        if not re.fullmatch(rf"auth/{re.escape(auth.mount)}/role/[^/]+/secret-id", path):
            raise LoginRefused(
                f"{auth.secret_id_file} wraps something else than a secret id of auth/{auth.mount}",
                hint="somebody may have put it there: find out who, and make a fresh one",
            )


def _opened_before(auth: AppRole) -> LoginRefused:
    return LoginRefused(
        f"the wrapped secret id in {auth.secret_id_file} was opened before, or has ended",
        hint="a wrapped one serves a single start of the bridge; if this is the first, somebody"
        " else has it: revoke it, and make a fresh one",
    )
