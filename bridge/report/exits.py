"""What a plan means for the exit code of a command."""

from __future__ import annotations

from bridge.errors import Exit
from bridge.model.plan import Plan
from bridge.model.reasons import VAULT_AWAY, Reason, State


def exit_code(plan: Plan) -> Exit:
    """Sum a plan up as an exit code: the highest that applies."""
    codes = [Exit.DONE]
    codes += [
        Exit.UNREACHABLE if hold.reason in VAULT_AWAY else Exit.HELD
        for hold in plan.holds
        if not hold.waits
    ]
    for condition in plan.conditions:
        for service in condition.services:
            if service.state == State.DEGRADED:
                failed = service.reason == Reason.ROLL_FAILED
                codes.append(Exit.ROLL_FAILED if failed else Exit.HELD)
    return max(codes)
