"""``vault-bridge health`` asks the bridge that runs, whatever the servers do."""

from __future__ import annotations

import signal

from tests.support.lab import Lab
from tests.support.processes import eventually


def _health(lab: Lab, *, code: int | None = 0) -> str:
    return lab.cli("health", code=code).strip()


def _says(lab: Lab, words: str) -> bool:
    """Return whether it says so by now, whether or not it listened already."""
    return words in _health(lab, code=None)


def test_it_tells_how_the_running_bridge_is(lab: Lab) -> None:
    instance = lab.name("bridge")
    lab.secret("db", {})
    lab.rotate("db")
    assert _health(lab, code=1) == f"unhealthy: no bridge of the instance {instance} runs here"
    first, address = lab.start(), lab.vault_address
    eventually(lambda: _says(lab, "; Vault answers"))  # once it listens
    assert _health(lab).startswith("healthy: leads; last cycle ")
    assert lab.json("health")["healthy"]

    second = lab.start()
    second.wait_for("health_not_served")
    assert _health(lab).startswith("healthy: leads")
    assert second.stop() == 0  # it would lead while the first one reads its configuration again

    lab.vault_address = "http://127.0.0.1:1"
    lab.write_config()
    first.process.send_signal(signal.SIGHUP)
    eventually(lambda: _says(lab, "Vault cannot be used"))
    assert _health(lab).startswith("healthy: ")
    lab.vault_address = address

    first.process.send_signal(signal.SIGSTOP)
    assert "gives no answer within" in _health(lab, code=1)
    first.process.send_signal(signal.SIGCONT)
    first.kill()
    assert "no bridge" in _health(lab, code=1)


def test_a_bridge_that_waits_for_its_engine_at_the_start_is_healthy(lab: Lab) -> None:
    lab.secret("db", {})
    lab.docker_host = f"unix://{lab.folder}/not-yet.sock"
    process = lab.start()
    eventually(lambda: _says(lab, "no cycle has run yet: no usable answer"))
    lab.docker_host = lab.swarm.host
    lab.write_config()
    process.process.send_signal(signal.SIGHUP)
    eventually(lambda: _says(lab, "healthy: leads"))
    assert process.stop() == 0
