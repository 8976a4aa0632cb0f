"""Metadata of many KV v2 paths of one folder at once, where the server lists them: OpenBao does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import requests

from bridge.errors import NOT_UNDERSTOOD
from bridge.model.vault_view import Document
from bridge.servers.vault.http import Answer
from bridge.servers.vault.session import Session
from bridge.sources.folder import Apart, Folder, Page, Unit

PAGE = 500
"""Names in one answer, which is then about 300 kB where each path has three versions."""

NEIGHBOURS = 8
"""Names besides for each that is wanted, from which reads one by one cost the server less.

A read takes OpenBao 0.6 ms of CPU, a listed document 0.06 ms.
"""

Read = Callable[[Mapping[str, Any]], Document]
"""Makes a document of Vault's. Raises as ``Kind.look`` does where that is not understood."""


class Folders:
    """Lists the metadata of folders (``detailed-metadata``), page by page.

    The pages of the last round stay with the unit: where an answer is the same as then, nothing of
    it is read again.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def documents(
        self, unit: Unit, names: Sequence[str], read: Read, *, patient: bool = True
    ) -> Mapping[str, Document] | Apart:
        """Return the documents of names in the unit's folder, as far as they are listed.

        Only the part of the folder is listed in which the names are.

        Args:
            names: In their order.
            patient: Whether to try again where there is trouble that passes.

        Raises:
            VaultUnreachable: Vault gives no usable answer.
            LoginRefused: Vault does not take our credential.
        """
        assert unit.folder  # noqa: S101 - it has more than one source
        found: dict[str, Document] = {}
        pages: dict[str, Page] = {}
        left, listed, after = list(names), 0, ""
        while left:
            after = max(after, _before(left[0]))
            limit = min(PAGE, len(left) * (1 + NEIGHBOURS))
            place = _place(unit.folder, limit, after)
            try:
                content = self._session.read_bytes(place, patient=patient)
                pages[place] = page = _page(content, left, read, unit.pages.get(place))
            except Answer as error:
                why = _meaning(error)
                if why:
                    return why
                break  # nothing is listed after that name
            except NOT_UNDERSTOOD:
                return Apart.NO_ANSWER
            found.update(page.documents)
            listed += page.count
            if page.count < limit or page.last <= after:
                break
            after = page.last
            left = [name for name in left if name > after]
            if left and listed >= len(names) * (1 + NEIGHBOURS):
                return Apart.COSTLIER
        if len(found) <= len(pages):
            return Apart.COSTLIER
        unit.pages.clear()
        unit.pages.update(pages)
        return found


def _place(folder: Folder, limit: int, after: str) -> str:
    place = quote(f"{folder.mount}/detailed-metadata/{folder.path}".rstrip("/"))
    return f"{place}/?list=true&limit={limit}&after={quote(after, safe='')}"


def _before(name: str) -> str:
    """Return a text that sorts before a name, with next to nothing in between.

    ``after`` leaves out the name that it is. The server sorts by bytes of UTF-8, as Python by
    characters.
    """
    head, last = name[:-1], ord(name[-1])
    if last <= ord(" ") or last == _AFTER_SURROGATES:
        return head
    return f"{head}{chr(last - 1)}\U0010fffd"


_AFTER_SURROGATES = 0xE000
"""The characters before it cannot be sent."""

_OUR_REQUEST = re.compile(rb'\A\{"request_id":\s*"[^"]*",')
"""What no two answers have in common."""


def _page(content: bytes, names: Sequence[str], read: Read, before: Page | None) -> Page:
    """Read an answer, or return the last one where nothing has changed.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is not understood.
    """
    digest = blake2b(_OUR_REQUEST.sub(b"", content, count=1), digest_size=16).digest()
    if before and before.digest == digest:
        return before
    data = json.loads(content)["data"]
    infos: Mapping[str, Any] = data["key_info"]
    keys: list[str] = data["keys"]
    last = max(keys, default="")
    if not isinstance(last, str):
        raise TypeError("names are texts")
    known = before.documents if before else {}
    documents: dict[str, Document] = {}
    for name in names:
        if name in infos:
            with suppress(*NOT_UNDERSTOOD):  # it is asked for alone, which tells what is wrong
                document = read(infos[name])
                old = known.get(name)
                documents[name] = old if old is not None and old == document else document
    return Page(digest, documents, last, len(keys))


def _meaning(error: Answer) -> Apart | None:
    """Return what an answer means that is not a success; None where nothing is listed.

    1. The policy has no ``list`` on the folder.
    2. An engine without such a list answers with a body that has ``data`` (null) and a warning.
       Other ones do not know the operation.
    3. Nothing is there: a 404 with an empty list of errors.
    4. A proxy's words, or those on a mount or namespace that is not there: reads of the paths
       themselves tell more.
    """
    if error.forbidden:
        return Apart.NOT_GRANTED  # 1
    if error.status != requests.codes.not_found:
        return Apart.NOT_OFFERED  # 2
    if error.body is None or error.errors:
        return Apart.NO_ANSWER  # 4
    return Apart.NOT_OFFERED if "data" in error.body else None  # 2, 3
