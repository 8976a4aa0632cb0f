"""One token for several threads: one of them logs in, and nobody forgets a token that is fresh."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.model.settings import AppRole
from bridge.servers.vault.http import Http
from bridge.servers.vault.login import Login

THREADS = 6


class _Http:
    """A Vault that gives out tokens, the next one only once somebody lets it."""

    def __init__(self) -> None:
        self.logins = 0
        self.lookups = 0
        self.go_on = threading.Event()

    def post(self, _place: str, _token: str, _body: object) -> dict[str, Any]:
        self.logins += 1
        assert self.go_on.wait(60)
        return {"auth": {"client_token": f"token-{self.logins}", "lease_duration": 60}}

    def get(self, _place: str, _token: str) -> dict[str, Any]:
        self.lookups += 1
        return {"data": {}}


@pytest.fixture
def http() -> _Http:
    return _Http()


@pytest.fixture
def login(http: _Http, tmp_path: Path) -> Login:
    for name in ("role", "secret"):
        (tmp_path / name).write_text("x")
    auth = AppRole(str(tmp_path / "role"), str(tmp_path / "secret"))
    return Login(cast("Http", http), auth, lambda: 0.0)


def test_threads_that_find_no_token_log_in_once(login: Login, http: _Http) -> None:
    started = threading.Barrier(THREADS + 1)

    def ask() -> str:
        started.wait()
        return login.token()

    with ThreadPoolExecutor(THREADS) as threads:
        found = [threads.submit(ask) for _ in range(THREADS)]
        started.wait()
        http.go_on.set()
        assert {each.result() for each in found} == {"token-1"}
    assert http.logins == 1


def test_a_token_that_was_refused_is_dead_once_another_took_its_place(
    login: Login, http: _Http
) -> None:
    """A thread that was slow to be refused asks Vault nothing, and forgets no fresh token."""
    http.go_on.set()
    first = login.token()
    login.forget(first)
    second = login.token()
    assert login.is_dead(first)
    assert http.lookups == 0
    login.forget(first)
    assert login.known == second
    assert not login.is_dead(second)
    assert http.lookups == 1
