"""Over HTTP a bridge shows what the commands show, and is ready only while rotations go on."""

from __future__ import annotations

import re
import signal

from tests.integration.test_failure import POISON
from tests.support.lab import Lab
from tests.support.scrapes import Scrapes


def test_it_is_ready_while_rotations_go_on(lab: Lab) -> None:
    """A version that fails makes it not ready, and so does a configuration that is not taken."""
    scrapes = Scrapes()
    lab.settings(http={"listen": f":{scrapes.port}"}, rollout={"bake": "1s", "timeout": "15s"})
    lab.secret("pw", {"api": {"target": "pw"}})
    lab.rotate("pw")
    lab.sync()
    lab.service("api", command=POISON, secrets=[(lab.name("pw_v1"), "pw")])
    bridge = lab.start()
    scrapes.wait_for("/readyz", 200, '"role": "leads"')
    assert scrapes.get("/livez")[1].startswith("leads; last cycle ")
    shown, printed = scrapes.json("/status.json"), lab.json("status")
    assert shown["secrets"] == printed["secrets"]
    assert shown.keys() == printed.keys()
    assert shown["leader"]["host"] == printed["leader"]["host"]

    second = lab.start()
    second.wait_for("http_failed")
    second.wait_for("stands_by")

    lab.vault.write(lab.mount, "pw", password="poison")
    reasons = scrapes.wait_for("/readyz", 503, "RollFailed")
    assert "non-zero exit (3)" in reasons
    page = scrapes.get("/")[1]
    assert "The secret is not on its current credential." in page
    assert f"vault-bridge retry {lab.name('pw')}" in page
    assert "non-zero exit (3)" in page
    assert f"rotation <code>{lab.name('pw')}@2-" in page
    lab.rotate("pw")
    scrapes.wait_for("/readyz", 200)
    reached = 'vault_bridge_rotation_lag_seconds_count{stage="last_task"} 1.0'
    measured = scrapes.wait_for("/metrics", 200, reached)
    assert f'vault_bridge_secret_running_version{{secret="{lab.name("pw")}"}} 3.0' in measured
    assert scrapes.json("/status.json")["secrets"][0]["running_version"] == 3
    assert 'vault_bridge_rolls_total{outcome="failed"} 1.0' in measured
    page = scrapes.wait_for("/", 200, "The secret is on its current credential.")
    drawn = re.findall(r'<text class="v(?: aside)?" [^>]*>v(\d)</text>', page)
    assert drawn == ["3", "2", "1"]
    assert scrapes.get("/?q=nothing")[1].count("<details") == 0

    good = lab.config.read_text()
    lab.config.write_text(f"{good}\nunknown: 1\n")
    bridge.process.send_signal(signal.SIGHUP)
    assert "unknown key" in scrapes.wait_for("/readyz", 503, "the configuration was not taken")
    lab.config.write_text(good)
    bridge.process.send_signal(signal.SIGHUP)
    scrapes.wait_for("/readyz", 200)

    bridge.kill()
    second.wait_for("http_listening")
    scrapes.wait_for("/readyz", 200, '"role": "leads"')
    assert second.stop() == 0
    assert not [canary for canary in lab.canaries if canary in "".join(scrapes.heard)]
