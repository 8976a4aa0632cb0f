"""How a plan reads: in columns, piped, summed up, in a merge request."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from bridge.decide.ahead import foresee
from bridge.model.changes import Forecast
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.report.plan_report import plan_markdown, print_plan
from tests.support.builders import (
    BORN,
    NOW,
    desired_of,
    document,
    plan_of,
    secret_of,
    service_of,
    world_of,
)


def _planned(*services: str, current: int = 2, stack: str = "") -> tuple[Plan, Forecast]:
    found = [replace(service_of(name, "db_v1"), stack=stack) for name in services]
    world = world_of(document(current), [secret_of(1, labels={"vault-bridge.good": BORN})], found)
    desired = desired_of(*services)
    plan = plan_of(desired, world)
    return plan, foresee(desired, world, plan, Memory(), NOW)


def _text(planned: tuple[Plan, Forecast], width: int = 0, *, verbose: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=width or 80, force_terminal=bool(width), no_color=True, highlight=False
    )
    print_plan(*planned, console, max_in_flight=1, verbose=verbose)
    return out.getvalue()


def test_what_is_piped_is_one_line_for_each_change() -> None:
    said = _text(_planned("api", "worker", "missing-" + "x" * 60))
    lines = said.splitlines()
    assert lines[:3] == [
        "  + db_v2   version 2 of secret/apps/db, content unverified",
        "  ~ api     db_v1 -> db_v2",
        "  ~ worker  db_v1 -> db_v2",
    ]
    assert "Plan: 1 to create, 3 to roll." in lines
    assert "At most 1 service at a time: the next one begins when one has converged." in lines
    assert max(map(len, lines)) > 80


def test_a_terminal_wraps_within_the_column() -> None:
    lines = _text(_planned("shop_worker_" + "x" * 50, "api"), 60).splitlines()
    assert max(map(len, map(str.rstrip, lines))) <= 60


def test_three_hundred_services_are_summed_up_by_move_and_stack() -> None:
    planned = _planned(*(f"s{n}" for n in range(300)), stack="shop")
    lines = _text(planned).splitlines()
    assert lines[1] == "  ~ 300 services  db_v1 -> db_v2 (shop 300)"
    assert len(lines) < 10
    assert len(_text(planned, verbose=True).splitlines()) > 600
    assert "| ~ | `300 services` | db_v1 -> db_v2 (shop 300) | NewVersion |" in plan_markdown(
        planned[1], max_in_flight=1
    )


def test_nothing_to_do_is_said_in_one_line() -> None:
    planned = _planned("api", current=1)
    assert _text(planned) == "No changes. 1 secret and 1 service are up to date.\n"
    assert "no changes" in plan_markdown(planned[1], max_in_flight=1)
