"""One decision: what is to be done now, what is held and why, and when to look again.

The table of contents of ``decide``. Each step takes values and returns a value; nothing is done and
nothing is read here. The plan is the sum of what the steps conclude.
"""

from __future__ import annotations

from bridge.decide.credentials.generations import (
    generations_by_name,
    look_after_leases,
    with_leases,
)
from bridge.decide.decision import total
from bridge.decide.services.move import move_services
from bridge.decide.situation import Situation
from bridge.decide.summary import summarise
from bridge.decide.upkeep import keep_up
from bridge.decide.versions.choose import choose_versions, find_targets
from bridge.decide.versions.operators import carry_out_wishes
from bridge.model.desired import Desired
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.world import World


def decide(desired: Desired, world: World, memory: Memory, now: float) -> Plan:
    """Return the plan of one cycle; the same arguments always give the same plan."""
    known = Situation(desired, world, memory, now)

    # 1. Which version should each name have? For leased credentials: which generation?
    targets, frozen = find_targets(known)
    generations = generations_by_name(known)
    targets = with_leases(targets, generations, known)
    versions = choose_versions(targets, known, frozen=frozen)

    # 2. What does each leased credential need: to be kept, or ended?
    credentials = look_after_leases(versions.targets, generations, known, frozen=frozen)

    # 3. What did operators ask for?
    wishes = carry_out_wishes(versions.targets, known)

    # 4. Where does each service stand, and what moves next?
    services = move_services(versions.targets, wishes.names, known)

    # 5. Which marks are due, and what can nothing need any more?
    upkeep = keep_up(versions, services, known)

    # 6. In sum: the plan, and how each secret is doing.
    steps = (credentials.decision, wishes.decision, versions.decision, services.decision, upkeep)
    return summarise(total(steps), versions, services, credentials, known)
