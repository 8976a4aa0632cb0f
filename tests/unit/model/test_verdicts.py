"""What is kept in the swarm of a refusal is read back."""

from __future__ import annotations

from bridge.model.reasons import Reason
from bridge.model.verdicts import Refusal


def test_a_trouble_is_read_back_with_the_services_that_it_concerns() -> None:
    for services in ((), ("api", "web")):
        trouble = Refusal(Reason.SWARM_REFUSED, "no", "2026-11-25T00:00:00Z", services)
        assert Refusal.read(trouble.write()) == trouble
