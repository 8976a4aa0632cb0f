"""What is kept in the swarm of a refusal is read back."""

from __future__ import annotations

from bridge.model.reasons import Reason
from bridge.model.verdicts import Trouble


def test_a_trouble_is_read_back_with_the_services_that_it_concerns() -> None:
    for services in ((), ("api", "web")):
        trouble = Trouble(Reason.SWARM_REFUSED, "no", "2026-11-25T00:00:00Z", services)
        assert Trouble.read(trouble.write()) == trouble
