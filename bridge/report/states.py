"""Metrics of how things stand, made from the latest cycle: what is gone has no series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily

from bridge.model.conditions import Condition
from bridge.model.cycle_report import CycleReport
from bridge.model.reasons import Reason, State
from bridge.model.timestamps import instant
from bridge.model.vault_view import NOT_YET
from bridge.model.vitals import words_of_vault
from bridge.report import metric_list as names
from bridge.report.answers import Known
from bridge.report.metric_list import Metric


@dataclass(frozen=True, slots=True)
class Lag:
    """How long the way of one version took, as far as this process measured it.

    Attributes:
        rotation: Name of its rotation.
        seconds: Seconds since Vault made it, by the stage that was reached.
    """

    rotation: str
    seconds: Mapping[str, float]


Lags = Mapping[str, Lag]
"""By the name of the secret."""


def gauge(metric: Metric, *samples: tuple[tuple[str, ...], float | None]) -> GaugeMetricFamily:
    """Return a metric with its samples, each with its labels' values; None is left out."""
    family = GaugeMetricFamily(metric.full, metric.text, labels=metric.labels)
    for labels, value in samples:
        if value is not None:
            family.add_metric(labels, value)
    return family


def states(known: Known, seen: CycleReport, lags: Lags) -> Iterator[GaugeMetricFamily]:
    """Yield what the bridge that leads tells of secrets, services and leases.

    Args:
        seen: The cycle that saw them.
        lags: What this process measured of the newest versions.
    """
    plan, world = seen.plan, seen.world
    if plan is None or world is None:
        return
    unmapped = sum(c.reason == Reason.UNMAPPED for c in plan.conditions)
    conditions = tuple(c for c in plan.conditions if c.reason != Reason.UNMAPPED)
    yield gauge(names.UNMAPPED, ((), unmapped))
    audit = world.swarm.audit
    if audit is not None:
        yield gauge(names.AUDIT_WRITABLE, ((), not audit.trouble))
        yield gauge(names.AUDIT_RECORD, ((), audit.seq))
    yield from _counts(conditions)
    yield gauge(names.SECRET_STATE, *(((c.name, c.state, c.reason), 1) for c in conditions))
    yield gauge(
        names.SERVICE_STATE,
        *(
            ((c.name, service.name, service.state, service.reason), 1)
            for c in conditions
            for service in c.services
        ),
    )
    held = Counter((hold.secret, str(hold.reason)) for hold in plan.holds)
    yield gauge(names.HOLDS, *held.items())
    yield from _versions(conditions)
    yield gauge(names.LAG, *_lags(known, seen, conditions, lags))
    yield from _leases(conditions)


def _counts(conditions: tuple[Condition, ...]) -> Iterator[GaugeMetricFamily]:
    secrets = Counter(c.state for c in conditions)
    services = Counter(service.state for c in conditions for service in c.services)
    for metric, counts in ((names.SECRETS, secrets), (names.SERVICES, services)):
        yield gauge(metric, *(((state,), counts[state]) for state in State))


def _versions(conditions: tuple[Condition, ...]) -> Iterator[GaugeMetricFamily]:
    yield gauge(names.VAULT_VERSION, *(((c.name,), c.vault_version) for c in conditions))
    yield gauge(names.RUNNING_VERSION, *(((c.name,), c.running_version) for c in conditions))
    yield gauge(names.CREATED, *(((c.name,), c.created) for c in conditions))
    aged = [c for c in conditions if c.overdue_at is not None]
    yield gauge(names.OVERDUE, *(((c.name,), float(c.overdue)) for c in aged))
    yield gauge(names.OVERDUE_AT, *(((c.name,), c.overdue_at) for c in aged))


def _lags(
    known: Known, seen: CycleReport, conditions: tuple[Condition, ...], lags: Lags
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield the lags of the newest versions; labels keep when one was mirrored."""
    assert seen.world is not None  # noqa: S101 - for the type checker
    for condition in conditions:
        mirrors = seen.world.swarm.mirrors_of(known.desired.instance, condition.name)
        if not mirrors or mirrors[0].identity.version != condition.vault_version:
            continue
        if not mirrors[0].remade:
            seconds = mirrors[0].created - instant(mirrors[0].identity.created) / 1e9
            yield (condition.name, names.MIRRORED), max(0.0, seconds)
        lag = lags.get(condition.name)
        if lag and lag.rotation == mirrors[0].rotation:
            yield from (((condition.name, stage), took) for stage, took in lag.seconds.items())


def _leases(conditions: tuple[Condition, ...]) -> Iterator[GaugeMetricFamily]:
    leases = [(c.name, lease) for c in conditions for lease in c.leases]
    alive = Counter(name for name, _ in leases)
    yield gauge(names.GENERATIONS, *(((name,), count) for name, count in alive.items()))
    dynamic = [(name, lease) for name, lease in leases if not lease.static]
    static = [(name, lease) for name, lease in leases if lease.static]
    for metric, part, end in (
        (names.LEASE_EXPIRES, dynamic, "lease_ends"),
        (names.HARD_END, dynamic, "hard_end"),
        (names.CUSTODY_EXPIRES, dynamic, "custody_ends"),
        (names.STATIC_ROTATION, static, "lease_ends"),
    ):
        yield gauge(
            metric, *(((name, str(lease.version)), getattr(lease, end)) for name, lease in part)
        )


def servers(known: Known, seen: CycleReport) -> Iterator[GaugeMetricFamily]:
    """Yield what the bridge that leads tells of Vault, and of its own credential."""
    if seen.world is None:
        return
    view = seen.world.vault
    wanted = known.settings.poll_interval
    period = (seen.holder.watch_period if seen.holder else 0.0) or None
    yield gauge(names.VAULT_UP, ((), float(not words_of_vault(view))))
    answered = (source for source, found in view.paths.items() if found != NOT_YET)
    oldest = min(map(view.asked_at, answered), default=None)
    yield gauge(names.OLDEST_ANSWER, ((), oldest))
    yield gauge(names.WATCH_PERIOD, ((), period))
    yield gauge(names.WATCH_PERIOD_WANTED, ((), wanted or period))
    yield gauge(names.CREDENTIAL_EXPIRES, ((), seen.credential_ends))
