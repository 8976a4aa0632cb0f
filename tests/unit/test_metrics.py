"""What is scraped is what is in the list, what is gone leaves it, and no lease is named in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from bridge.clock import boot_clock
from bridge.model.actions import Annotate, CreateSecret, RollService, Tend, TendGeneration
from bridge.model.audit_head import AuditHead
from bridge.model.cycle_report import CycleReport
from bridge.model.desired import Desired
from bridge.model.labels import ASIDE, GOOD, REMADE, ROLL, labels_of
from bridge.model.leadership import Holder
from bridge.model.memory import Outcome, Result
from bridge.model.reasons import Reason
from bridge.model.rotation import rotation_of
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.model.vault_view import NOT_YET
from bridge.model.vitals import Vitals
from bridge.model.world import World
from bridge.report import metrics
from bridge.report.answers import Known
from bridge.report.metric_list import METRICS
from bridge.report.metrics import OUTDATED, Metrics
from tests.support.builders import (
    NOW,
    desired_of,
    document,
    generation_secret,
    identity,
    leased,
    leased_world,
    plan_of,
    secret_of,
    service_of,
    wanted,
    world_of,
)

Samples = Mapping[tuple[str, ...], float]

SETTINGS = Settings(
    vault=VaultSettings(address="http://v", auth=TokenFile("t")),
    docker=DockerSettings("unix:///d"),
    poll_interval=10.0,
)
ME = Holder(
    id="i", host="me", process="", configuration="", at="2027-01-01T00:00:00Z", watch_period=12.0
)


class Bridge:
    """A bridge that is measured, and shown a world in each cycle."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.known = Known(
            now=NOW,
            desired=desired_of("api"),
            settings=SETTINGS,
            vitals=Vitals(at=boot_clock(), cycles=1),
            age=0.0,
            report=None,
            seen=None,
        )

    def cycle(self, desired: Desired, world: World, *outcomes: Outcome, after: float = 0.0) -> None:
        now = NOW + after
        report = CycleReport(
            at=now,
            took=0.2,
            world=world,
            plan=plan_of(desired, world, now=now),
            outcomes=outcomes,
            holder=ME,
            credential_ends=NOW + 86400,
        )
        self.metrics.observe(report)
        self.known = replace(self.known, now=now, desired=desired, report=report, seen=report)

    def text(self) -> str:
        return self.metrics.page(self.known).body.decode()

    def scrape(self) -> Mapping[str, Samples]:
        """Return each sample by its name, and by its labels' values in the order of their names."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
        return found


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


API = service_of("api", "db_v1")


def test_it_shows_how_each_secret_stands_until_its_name_is_gone(bridge: Bridge) -> None:
    desired = desired_of(secrets=[replace(wanted("db", "api"), max_age=60.0)])
    good = secret_of(1, labels={GOOD: "2026-12-01T00:00:00Z"})
    bridge.cycle(desired, world_of(document(2), [good], [API]))
    seen = bridge.scrape()
    assert seen["vault_bridge_secret_state"] == {("NewVersion", "db", "Rolling"): 1}
    assert seen["vault_bridge_service_state"].keys() == {("UpToDate", "db", "api", "Synced")}
    assert seen["vault_bridge_secrets"][("Rolling",)] == 1
    assert seen["vault_bridge_secrets"][("Degraded",)] == 0
    assert seen["vault_bridge_secret_vault_version"] == {("db",): 2}
    assert seen["vault_bridge_secret_running_version"] == {("db",): 1}
    assert seen["vault_bridge_secret_overdue"] == {("db",): 1}
    assert seen["vault_bridge_watch_period_seconds"] == {(): 12}
    assert seen["vault_bridge_watch_period_wanted_seconds"] == {(): 10}
    assert seen["vault_bridge_credential_expires_timestamp_seconds"] == {(): NOW + 86400}
    assert seen["vault_bridge_vault_up"] == {(): 1}
    assert seen["vault_bridge_leader"] == {(): 1} == seen["vault_bridge_ready"]

    other = desired_of(secrets=[wanted("other", "api")])
    bridge.cycle(other, world_of(document(2), [secret_of(1)], [API]))
    assert 'secret="db"' not in bridge.text()
    assert bridge.scrape()["vault_bridge_unmapped_secrets"] == {(): 1}


def test_a_path_that_was_never_asked_for_has_no_oldest_answer(bridge: Bridge) -> None:
    world = world_of(document(1), [secret_of(1)], [API])
    never = replace(world.vault, as_of=3.0, paths=dict.fromkeys(world.vault.paths, NOT_YET))
    bridge.cycle(desired_of("api"), replace(world, vault=never))
    assert "vault_bridge_vault_oldest_answer_timestamp_seconds" not in bridge.scrape()


def test_evidence_that_waits_for_its_file_is_shown(bridge: Bridge) -> None:
    desired = desired_of("api")
    bridge.cycle(desired, world_of(document(1), [secret_of(1)], [API]))
    assert "vault_bridge_audit" not in bridge.text()  # none is kept
    for trouble, writable in (("no space", 0), ("", 1)):
        head = AuditHead(seq=7, trouble=trouble)
        bridge.cycle(desired, world_of(document(1), [secret_of(1)], [API], audit=head))
        seen = bridge.scrape()
        assert seen["vault_bridge_audit_writable"] == {(): writable}
        assert seen["vault_bridge_audit_last_record"] == {(): 7}


def test_leases_are_shown_by_when_they_end_and_never_by_their_names(bridge: Bridge) -> None:
    desired = desired_of(secrets=[leased("api")])
    mirror = generation_secret(1)
    bridge.cycle(desired, leased_world([mirror], [service_of("api", "db_v1")]))
    seen, text = bridge.scrape(), bridge.text()
    assert seen["vault_bridge_generations"] == {("db",): 1}
    assert seen["vault_bridge_lease_expires_timestamp_seconds"] == {("db", "1"): NOW + 500}
    assert seen["vault_bridge_lease_hard_end_timestamp_seconds"].keys() == {("db", "1")}
    assert seen["vault_bridge_custody_expires_timestamp_seconds"].keys() == {("db", "1")}
    for hidden in ("creds/", "accessor-", mirror.labels["vault-bridge.lease"]):
        assert hidden not in text


def _create(**more: str) -> Outcome:
    create = CreateSecret(
        secret="db",
        identity=identity(2),
        content=wanted("db").content,
        docker_name="db_v2",
        labels=labels_of("default", "db", identity(2)) | more,
        reason=Reason.NEW_VERSION,
        why="",
    )
    return Outcome(create, Result.DONE)


def _roll(reason: Reason) -> Outcome:
    roll = RollService(
        service_id="s", service_name="api", template="", swaps=(), reason=reason, why=""
    )
    return Outcome(roll, Result.DONE)


def _note(reason: Reason, put: Mapping[str, str]) -> Outcome:
    note = Annotate(secret="db", secret_id="i", docker_name="db_v2", reason=reason, why="", put=put)
    return Outcome(note, Result.DONE)


def test_it_counts_rolls_and_how_long_versions_were_on_their_way(bridge: Bridge) -> None:
    desired = desired_of("api")
    done = json.dumps({"at": "2027-01-15T08:00:00Z", "done": "2027-01-15T08:00:42Z"})
    former, newer = secret_of(1), secret_of(2)
    world = world_of(document(2), [former, newer], [API])
    bridge.cycle(desired, world, _create())
    assert bridge.scrape()["vault_bridge_rotation_lag_seconds_count"][("first_task",)] == 0

    rolled = service_of("api", "db_v2", previous=frozenset({"id-db_v1"}))
    bridge.cycle(
        desired, world_of(document(2), [former, newer], [rolled]), _roll(Reason.NEW_VERSION)
    )
    good = secret_of(2, labels={f"{ROLL}id-api": done, GOOD: "2027-01-15T08:00:42Z"})
    settled = world_of(document(2), [former, good], [rolled])
    bridge.cycle(desired, settled, _note(Reason.CONVERGED, {f"{ROLL}id-api": done}), after=5.0)
    seen = bridge.scrape()
    assert seen["vault_bridge_roll_duration_seconds_sum"] == {(): 42}
    assert seen["vault_bridge_rotation_lag_seconds_count"] == {
        ("mirrored",): 1,
        ("first_task",): 1,
        ("last_task",): 1,
    }
    lags = seen["vault_bridge_secret_lag_seconds"]
    assert lags[("db", "last_task")] - lags[("db", "first_task")] == pytest.approx(5)

    failed = _note(Reason.ROLL_FAILED, {f"{ASIDE}.id-api": "x"})
    bridge.cycle(desired, settled, failed, _roll(Reason.GOING_BACK))
    refused = TendGeneration(
        secret="db",
        secret_id="i",
        docker_name="d",
        step=Tend.RENEW_LEASE,
        reason=Reason.LEASE_KEPT,
        why="",
    )
    bridge.cycle(desired, settled, Outcome(refused, Result.FAILED))
    seen = bridge.scrape()
    assert seen["vault_bridge_rolls_total"] == {
        ("begun",): 1,
        ("converged",): 1,
        ("failed",): 1,
        ("went_back",): 1,
    }
    assert seen["vault_bridge_actions_total"][("renew_lease", "failed")] == 1
    assert seen["vault_bridge_cycles_total"] == {("done",): 5, ("failed",): 0}


def test_a_lag_is_that_of_the_newest_version_and_of_its_first_copy(bridge: Bridge) -> None:
    desired, second = desired_of("api"), secret_of(2)
    rolled = service_of("api", "db_v2")
    bridge.cycle(desired, world_of(document(2), [second], [rolled]), _create())
    own = {("db", "mirrored"), ("db", "first_task")}
    assert bridge.scrape()["vault_bridge_secret_lag_seconds"].keys() == own

    third = secret_of(3)  # by another bridge, which led meanwhile
    bridge.cycle(desired, world_of(document(3), [second, third], [service_of("api", "db_v3")]))
    assert bridge.scrape()["vault_bridge_secret_lag_seconds"].keys() == {("db", "mirrored")}

    again = secret_of(2, labels={REMADE: "1"})
    world = world_of(document(2), [again], [rolled])
    bridge.cycle(desired, world, _create(**{REMADE: "1"}), after=90 * 86400.0)
    seen = bridge.scrape()
    assert ("db", "mirrored") not in seen["vault_bridge_secret_lag_seconds"]
    assert seen["vault_bridge_rotation_lag_seconds_count"][("mirrored",)] == 1


def test_what_was_measured_leads_to_its_rotation(bridge: Bridge) -> None:
    """As an exemplar, which OpenMetrics alone has; both forms have the same samples."""
    desired, mirror = desired_of("api"), secret_of(2)
    done = json.dumps({"at": "2027-01-15T08:00:00Z", "done": "2027-01-15T08:00:42Z"})
    put = {f"{ROLL}id-api": done}
    note = Annotate(
        secret="db",
        secret_id=mirror.id,
        docker_name=mirror.name,
        reason=Reason.CONVERGED,
        why="",
        put=put,
    )
    world = world_of(document(2), [mirror], [service_of("api", "db_v2")])
    bridge.cycle(desired, world, Outcome(note, Result.DONE))
    assert "rotation=" not in bridge.text()
    plain = bridge.scrape()

    bridge.known = replace(bridge.known, accept="application/openmetrics-text;version=1.0.0")
    answer = bridge.metrics.page(bridge.known)
    assert answer.content_type.startswith("application/openmetrics-text")
    rotation = rotation_of("default", "db", identity(2))
    parse: Any = openmetrics.text_string_to_metric_families
    samples = [sample for family in parse(answer.body.decode()) for sample in family.samples]
    found = {s.name: s.exemplar.labels for s in samples if s.exemplar}
    assert found == {
        "vault_bridge_roll_duration_seconds_bucket": {"rotation": rotation},
        "vault_bridge_rolls_total": {"rotation": rotation},
    }
    assert {sample.name for sample in samples} == plain.keys()


def test_a_bridge_that_stands_by_does_not_double_the_leaders_series(bridge: Bridge) -> None:
    desired = desired_of("api")
    bridge.cycle(desired, world_of(document(1), [secret_of(1)], [API]))
    assert 'secret="db"' in bridge.text()
    report = CycleReport(at=NOW, took=0.1, leader="other")
    bridge.metrics.observe(report)
    bridge.known = replace(bridge.known, report=report, seen=None)
    text = bridge.text()
    assert 'secret="db"' not in text
    assert "vault_bridge_vault_up" not in text
    assert bridge.scrape()["vault_bridge_leader"] == {(): 0}


def test_a_leader_whose_cycles_fail_is_silent_once_another_may_lead(bridge: Bridge) -> None:
    bridge.cycle(desired_of("api"), world_of(document(1), [secret_of(1)], [API]))
    report = CycleReport(at=NOW + 5, took=0.1, trouble="the swarm is away")
    bridge.metrics.observe(report)
    bridge.known = replace(bridge.known, report=report, now=NOW + 5)
    assert 'secret="db"' in bridge.text()
    assert bridge.scrape()["vault_bridge_swarm_up"] == {(): 0}
    assert bridge.scrape()["vault_bridge_last_cycle_timestamp_seconds"] == {(): NOW + 5}
    bridge.known = replace(bridge.known, now=NOW + OUTDATED + 1)
    assert 'secret="db"' not in bridge.text()


def test_what_is_exposed_is_what_the_reference_lists(bridge: Bridge) -> None:
    desired = desired_of(secrets=[replace(leased("api"), max_age=60.0)])
    services = [service_of("api", "db_v1")]
    bridge.cycle(desired, leased_world([generation_secret(1)], services, audit=AuditHead(seq=1)))
    text = bridge.text()
    types = dict(re.findall(r"^# TYPE (vault_bridge_\S+) (\S+)$", text, re.MULTILINE))
    assert types == {metric.full: metric.kind for metric in METRICS}
    helps = dict(re.findall(r"^# HELP (vault_bridge_\S+) (.*)$", text, re.MULTILINE))
    assert helps == {metric.full: metric.text for metric in METRICS}
    labels = {metric.full: set(metric.labels) for metric in METRICS}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = re.sub("_(bucket|count|sum)$", "", sample.name)
            if name in labels:
                assert set(sample.labels) - {"le"} == labels[name], sample


def test_a_scrape_of_a_thousand_secrets_costs_one_rendering_for_each_cycle(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [wanted(f"db{n}", "api") for n in range(1000)]
    mirrors = [secret_of(1, name=f"db{n}") for n in range(1000)]
    world = world_of(document(1), mirrors, [service_of("api", *(m.name for m in mirrors))])
    bridge.cycle(desired_of(secrets=secrets), world)
    first = bridge.text()
    assert first.count("\n") > 5000
    monkeypatch.setattr(metrics, "states", lambda *_: pytest.fail("it is the same cycle"))
    bridge.known = replace(bridge.known, now=NOW + 1)
    assert bridge.text().count("\n") == first.count("\n")
