"""While some paths fail the others are watched, below ``max_rps``, and leases are kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tests.support.lab import Lab
from tests.support.leases import LeasedDatabase
from tests.support.processes import eventually
from tests.support.proxy import Answer, Cut, Exchange, Phase

RPS = 20.0
FAULTY = ("slow", "cut", "busy", "broken")
AHEAD = 10
"""Requests by which a proxy may see more than ``max_rps``: some are on their way for longer."""


class _Faults:
    """Makes trouble of one sort with the metadata of each of some paths, until it is over."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.met: set[str] = set()
        self.times: list[float] = []

    def __call__(self, exchange: Exchange, phase: Phase) -> None:
        if phase == Phase.BEFORE:
            self.times.append(time.monotonic())
        name = next((name for name in FAULTY if f"/metadata/{name}/" in exchange.path), "")
        if not name or self.over.is_set():
            return
        self.met.add(name)
        match name, phase:
            case "slow", Phase.BEFORE:
                self.over.wait(2.0)
            case "cut", Phase.BEFORE:
                raise Cut
            case "busy", Phase.BEFORE:
                raise Answer(429, b'{"errors": []}', headers={"Retry-After": "1"})
            case "broken", Phase.AFTER:
                raise Answer(500, b'{"errors": ["internal error"]}')
            case _:
                pass


def test_others_are_noticed_and_leases_are_kept_while_some_paths_fail(
    lab: Lab, leased_database: Callable[..., LeasedDatabase]
) -> None:
    vault, _ = lab.through_proxies()
    for name in ("well", *FAULTY):
        lab.secret(name, {}, kv={"path": f"{name}/db"})  # no folder that is listed as a whole
        lab.rotate(f"{name}/db")
    leased = leased_database(services=(), default_ttl="12s", poll={"interval": "1s"})
    lab.settings(vault=lab.vault_settings() | {"max_rps": RPS})
    vault.hook = faults = _Faults()

    def renewals() -> int:
        return sum(each.path.endswith("/sys/leases/renew") for each in tuple(vault.exchanges))

    bridge = lab.start()
    bridge.wait_for("mirrored", docker_secret=lab.name("well_v1"))
    eventually(lambda: leased.newest() == 1)
    for number in (2, 3):
        lab.rotate("well/db")
        bridge.wait_for("mirrored", docker_secret=lab.name(f"well_v{number}"))
    before = renewals()
    eventually(lambda: renewals() >= before + 2)
    assert faults.met == set(FAULTY)
    assert not any(lab.versions(name) for name in ("cut", "busy", "broken"))

    faults.over.set()
    for name in FAULTY:
        bridge.wait_for("mirrored", docker_secret=lab.name(f"{name}_v1"))
    assert bridge.stop() == 0
    assert leased.newest() == 1  # no lease was lost, so that no credential was replaced
    first, *others = faults.times
    assert len(others) <= RPS * (others[-1] - first) + AHEAD
