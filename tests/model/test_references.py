"""Any service with any references: a roll changes what is configured, and nothing else (I2, I3)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis.stateful import rule

from bridge.model.actions import RollService
from bridge.model.content.payload import Concealed
from bridge.model.desired import Content, Desired, DesiredSecret, Format, Mapping, Rollout
from bridge.model.service import Reference
from bridge.sources.kv.source import KvPath
from tests.model.bench import Bench
from tests.support.references import CASES, Case, judge


class Rolled(Bench):
    """A bridge that rolls one service to ``db_v2``."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        secret = DesiredSecret(
            name="db",
            source=KvPath("", "kv", "db"),
            content=Content(format=Format.RAW, field="password"),
        )
        self.desired = Desired(instance="default", secrets=(secret,), rollout=Rollout(bake=0.0))
        self.vault.write("db", "one")
        self.cycle()
        for name, labels in (
            ("db", {}),
            ("key", {}),
            ("db_v9", {"vault-bridge.instance": "other", "vault-bridge.secret": "db"}),
        ):
            self.swarm.create_secret(name, Concealed(name.encode()), labels)
        ids = {raw["Spec"]["Name"]: raw["ID"] for raw in self.swarm.secrets()}
        references = [
            replace(ref, secret_id=ids[ref.secret_name]).write() for ref in case.references
        ]
        self.service = self.swarm.deploy("api", 0, "rollback", secrets=references)
        secret = replace(secret, services=(Mapping("api", case.files),))
        self.desired = replace(self.desired, secrets=(secret,))
        self.vault.write("db", "two")

    @rule()
    def one_cycle(self) -> None:
        """Run one; a bench has to have a rule, and this one has no others."""
        self.cycle()

    def references(self) -> tuple[Reference, ...]:
        """Return what the service has, by the names of the Docker secrets."""
        (service,) = self.look().services
        return tuple(replace(ref, secret_id=ref.secret_name) for ref in service.references)

    def roll(self) -> bool:
        """Run cycles until nothing is left to do; tells whether the service is held."""
        for _ in range(12):
            plan = self.cycle()
            if plan.finished:
                return any(hold.service == "api" for hold in plan.holds)
            self.swarm.tick()
        raise AssertionError("it does not come to rest (I5)")


@settings(deadline=None)
@given(case=CASES)
def test_what_is_configured_changes_the_reference_with_that_target_only(case: Case) -> None:
    bench = Rolled(case)
    held = bench.roll()
    judge(case, bench.references(), held=held)
    updates = [what for what in bench.swarm.writes if what.startswith("update")]
    assert len(updates) == (not held)
    # Nothing is left to be changed either, not even at once (I5).
    bench.desired = replace(bench.desired, apply_fields=True)
    bench.roll()
    assert not [a for c in bench.cycle().chains for a in c if isinstance(a, RollService)]
    assert len([w for w in bench.swarm.writes if w.startswith("update")]) == len(updates)
