"""Asks a running bridge over HTTP, and keeps all that it answered, to look for what is secret."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.support.processes import eventually, free_port


class Scrapes:
    """One port on which bridges of a test answer.

    Attributes:
        heard: All that was answered.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.heard: list[str] = []

    @property
    def address(self) -> str:
        """Where it is, as URLs begin."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body; 0 where nobody listens."""
        try:
            with urllib.request.urlopen(f"{self.address}{path}", timeout=30) as answer:
                status, body = int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read().decode()
        except OSError:
            return 0, ""
        self.heard.append(body)
        return status, body

    def json(self, path: str) -> Any:
        """Return what is answered for programs."""
        return json.loads(self.get(path)[1])

    def wait_for(self, path: str, status: int, words: str = "") -> str:
        """Wait for an answer with a status and with some words in it; returns it."""
        answers: list[str] = []

        def answered() -> bool:
            found, body = self.get(path)
            answers.append(body)
            return found == status and words in body

        eventually(answered)
        return answers[-1]
