"""What Prometheus scrapes: states as they are, and counts of what has happened since the start.

States are collected anew from the latest cycle for each scrape, so that nothing stays behind that
is gone. Their text is kept until the next cycle: a scrape then costs as much as it changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from bridge import __version__
from bridge.model.actions import (
    Action,
    Annotate,
    CreateSecret,
    MintGeneration,
    NoteState,
    RemoveSecret,
    RollService,
    TendGeneration,
    WakeUpdater,
)
from bridge.model.cycle_report import CycleReport
from bridge.model.labels import ASIDE, ROLL
from bridge.model.leadership import TTL
from bridge.model.memory import Outcome, Result
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.timestamps import instant
from bridge.report import metric_list as names
from bridge.report.answers import Answer, Known
from bridge.report.metric_list import Metric
from bridge.report.probes import readyz
from bridge.report.states import Lags, gauge, servers, states
from bridge.tally import ENGINE, VAULT, Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

CYCLE_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
ROLL_BUCKETS = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
LAG_BUCKETS = (1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)

OUTDATED = TTL * 2 / 3
"""Seconds after which a bridge whose cycles fail no longer leads, so that another one may."""


class Metrics:
    """Measures one bridge. ``observe`` is called by its cycles, and ``page`` by the HTTP server."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry(auto_describe=False)
        self._registry = registry
        ProcessCollector(registry=registry)
        self._cycles = _counter(names.CYCLES, registry)
        self._cycle_seconds = _histogram(names.CYCLE_SECONDS, registry, CYCLE_BUCKETS)
        self._rolls = _counter(names.ROLLS, registry)
        self._roll_seconds = _histogram(names.ROLL_SECONDS, registry, ROLL_BUCKETS)
        self._rotation_lag = _histogram(names.ROTATION_LAG, registry, LAG_BUCKETS)
        self._actions = _counter(names.ACTIONS, registry)
        for outcome in names.ROLL_OUTCOMES:
            self._rolls.labels(outcome)
        for outcome in ("done", "failed"):
            self._cycles.labels(outcome)
        for stage in names.STAGES:
            self._rotation_lag.labels(stage)
        self._under_way: dict[str, tuple[str, float]] = {}
        self._lags: Lags = {}
        self._last = 0.0
        self._kept: tuple[object, bytes] = None, b""

    # --- what happens ----------------------------------------------------------------------------

    def observe(self, report: CycleReport) -> None:
        """Count what a cycle did, and how long it took."""
        self._cycles.labels("failed" if report.trouble else "done").inc()
        self._cycle_seconds.observe(report.took)
        if not report.trouble:
            self._last = report.at
        for outcome in report.outcomes:
            self._actions.labels(action_name(outcome.action), str(outcome.result)).inc()
            if outcome.result == Result.DONE:
                self._done(outcome, report.at)
        if report.leads:
            self._follow(report)
        elif not report.trouble:
            self._under_way.clear()
            self._lags.clear()

    def _done(self, outcome: Outcome, at: float) -> None:
        """Count what an action that was carried out means for rolls, and for the way of a version.

        A converged roll is told by the label that says so, which has when it began too.
        """
        match outcome.action:
            case CreateSecret() as create if not outcome.message:
                created = instant(create.identity.created) / 1e9
                self._lags.pop(create.secret, None)
                self._under_way[create.secret] = create.docker_name, created
                self._rotation_lag.labels(names.MIRRORED).observe(max(0.0, at - created))
            case RollService() as roll:
                back = roll.reason == Reason.GOING_BACK
                self._rolls.labels(names.WENT_BACK if back else names.BEGUN).inc()
            case Annotate(reason=Reason.CONVERGED) as note:
                for seconds in _durations(note.put):
                    self._rolls.labels(names.CONVERGED).inc()
                    self._roll_seconds.observe(seconds)
            case Annotate(reason=Reason.ROLL_FAILED) as note:
                failed = sum(key == ASIDE or key.startswith(f"{ASIDE}.") for key in note.put)
                self._rolls.labels(names.FAILED).inc(failed)
            case _:
                pass

    def _follow(self, report: CycleReport) -> None:
        """Note how far versions are that were mirrored by this process."""
        if not self._under_way or report.plan is None or report.world is None:
            return
        swarm = report.world.swarm
        running = frozenset().union(*(t.secret_ids for t in swarm.tasks if t.running))
        ids = {secret.name: secret.id for secret in swarm.secrets}
        conditions = {condition.name: condition for condition in report.plan.conditions}
        for name, (docker_name, created) in tuple(self._under_way.items()):
            condition, lags = conditions.get(name), self._lags.setdefault(name, {})
            if condition is None:
                del self._under_way[name], self._lags[name]
                continue
            if ids.get(docker_name) not in running:
                continue
            self._reach(lags, names.FIRST_TASK, report.at - created)
            services = condition.services
            ours = condition.versions[-1:] == (condition.running_version,)
            if ours and all(s.state == State.SYNCED for s in services):
                self._reach(lags, names.LAST_TASK, report.at - created)
                del self._under_way[name]

    def _reach(self, lags: dict[str, float], stage: str, seconds: float) -> None:
        if stage not in lags:
            lags[stage] = max(0.0, seconds)
            self._rotation_lag.labels(stage).observe(lags[stage])

    # --- what is scraped -------------------------------------------------------------------------

    def page(self, known: Known) -> Answer:
        """Return all metrics, in Prometheus' text format."""
        counted = generate_latest(self._registry)
        itself = generate_latest(_registry_of(self._itself(known)))
        return Answer(200, CONTENT_TYPE, counted + itself + self._of_leader(known))

    def _of_leader(self, known: Known) -> bytes:
        """Return what only the bridge that leads tells; nothing where another one may lead."""
        seen = known.seen
        trouble = known.report is not None and known.report.trouble
        if seen is None or (trouble and known.now - seen.at > OUTDATED):
            return b""
        if self._kept[0] is not seen:
            families = [*servers(known, seen), *states(known, seen, dict(self._lags))]
            self._kept = seen, generate_latest(_registry_of(iter(families)))
        return self._kept[1]

    def _itself(self, known: Known) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield what each bridge tells of itself."""
        report = known.report
        yield gauge(names.BUILD_INFO, ((__version__,), 1))
        yield gauge(names.LEADER, ((), float(report is not None and report.leads)))
        yield gauge(names.READY, ((), float(readyz(known).status == _OK)))
        yield gauge(names.CONFIG_GOOD, ((), float(not known.refused)))
        yield gauge(names.SWARM_UP, ((), float(report is not None and not report.trouble)))
        yield gauge(names.LAST_CYCLE, ((), self._last or None))
        for metric, tally in ((names.VAULT_REQUESTS, VAULT), (names.ENGINE_REQUESTS, ENGINE)):
            yield _counts(metric, tally)


_OK = 200


class _Families:
    """A registry of families that are made already, as ``generate_latest`` takes one."""

    def __init__(self, families: Iterator[Any]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        return self._families


def _registry_of(families: Iterator[Any]) -> CollectorRegistry:
    return cast("CollectorRegistry", _Families(families))


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.full, metric.text, metric.labels, registry=registry)


def _histogram(
    metric: Metric, registry: CollectorRegistry, buckets: tuple[float, ...]
) -> Histogram:
    return Histogram(metric.full, metric.text, metric.labels, registry=registry, buckets=buckets)


def _counts(metric: Metric, tally: Tally) -> CounterMetricFamily:
    family = CounterMetricFamily(metric.full, metric.text, labels=metric.labels)
    for ending, count in tally.counts().items():
        family.add_metric((ending,), count)
    return family


def _durations(put: Mapping[str, str]) -> Iterator[float]:
    """Yield the seconds that the rolls took which these labels call done."""
    for key, value in put.items():
        record = RollRecord.read(value) if key.startswith(ROLL) else None
        if record and record.done:
            yield max(0.0, (instant(record.done) - instant(record.at)) / 1e9)


def action_name(action: Action) -> str:
    """Name an action in a label: few words, whatever it is about."""
    match action:
        case CreateSecret():
            return "create_secret"
        case MintGeneration():
            return "mint"
        case TendGeneration():
            return action.step.name.lower()
        case Annotate():
            return "annotate"
        case RollService():
            return "roll"
        case WakeUpdater():
            return "wake_updater"
        case RemoveSecret():
            return "remove_secret"
        case NoteState():
            return "note_state"
