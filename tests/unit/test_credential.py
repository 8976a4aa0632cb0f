"""The files that hold our credential for Vault: what of them is sent."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from bridge.errors import LoginRefused
from bridge.model.settings import AppRole, Auth, JwtLogin, TokenFile, VaultSettings
from bridge.servers.vault.credential import Credential, text_of
from bridge.servers.vault.http import Http, RateLimit

_CANARY = "c4n4ry"


@pytest.mark.parametrize(
    "content",
    [
        b"hvs.x",
        b"hvs.x\n",
        b"hvs.x\r\n",
        b" hvs.x\t\n\n",
        codecs.BOM_UTF8 + b"hvs.x\r\n",
        codecs.BOM_UTF16_LE + "hvs.x\r\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "hvs.x".encode("utf-16-be"),
    ],
)
def test_what_editors_and_shells_put_around_a_credential_is_no_part_of_it(content: bytes) -> None:
    """PowerShell begins what it redirects into a file with a byte order mark."""
    assert text_of(content) == "hvs.x"


class Files:
    """Files of credentials, and what is made of them."""

    def __init__(self, folder: Path) -> None:
        self.names = [folder / "first", folder / "second"]

    def write(self, *contents: bytes) -> None:
        for name, content in zip(self.names, contents, strict=False):
            name.write_bytes(content)

    def credential(self, method: str) -> Credential:
        first, second = map(str, self.names)
        auths: dict[str, Auth] = {
            "token": TokenFile(first),
            "jwt": JwtLogin("bridge", first),
            "approle": AppRole(first, second),
            "wrapped": AppRole(first, second, secret_id_wrapped=True),
        }
        auth = auths[method]
        return Credential(
            Http(
                VaultSettings(address="http://127.0.0.1:9", auth=auth), RateLimit(1.0, lambda: 0.0)
            ),
            auth,
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_each_file_of_a_login_is_read_so(files: Files) -> None:
    files.write(codecs.BOM_UTF8 + b"one\n", codecs.BOM_UTF8 + b"two\n")
    approle, jwt = files.credential("approle"), files.credential("jwt")
    assert approle.login_body(approle.read()) == {"role_id": "one", "secret_id": "two"}
    assert jwt.login_body(jwt.read()) == {"role": "bridge", "jwt": "one"}


@pytest.mark.parametrize("method", ["token", "jwt", "approle", "wrapped"])
@pytest.mark.parametrize("content", [b"", b"\n", codecs.BOM_UTF8])
def test_a_file_without_anything_in_it_is_named_and_nothing_is_sent(
    files: Files, method: str, content: bytes
) -> None:
    files.write(content, content)
    credential = files.credential(method)
    assert not credential.read()
    assert "first is empty" in str(credential.unreadable())


@pytest.mark.parametrize("method", ["token", "wrapped"])
@pytest.mark.parametrize("content", [f"{_CANARY}\nx", f"{_CANARY} x", f"тoken{_CANARY}"])
def test_what_can_be_no_token_is_named_without_a_byte_of_it(
    files: Files, method: str, content: str
) -> None:
    """I6: it would not even pass into a header, and the error there quotes it."""
    file = files.names[0 if method == "token" else 1]
    files.write(*([b"role-id"] if method == "wrapped" else []), content.encode())
    credential = files.credential(method)
    assert not credential.read()
    refusal = credential.unreadable()
    assert isinstance(refusal, LoginRefused)
    assert f"{file} holds more than a token" in str(refusal)
    assert _CANARY not in str(refusal)
