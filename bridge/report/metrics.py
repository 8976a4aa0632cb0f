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
from prometheus_client.openmetrics import exposition as openmetrics

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
from bridge.model.labels import ASIDE, INSTANCE, REMADE, ROLL
from bridge.model.leadership import TTL
from bridge.model.memory import Outcome, Result
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.rotation import rotation_of
from bridge.model.timestamps import instant
from bridge.report import metric_list as names
from bridge.report.answers import Answer, Known
from bridge.report.metric_list import Metric
from bridge.report.probes import readyz
from bridge.report.states import Lag, gauge, servers, states
from bridge.tally import ENGINE, NOTIFICATIONS, VAULT, Tally

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_END = b"# EOF\n"
"""The last line of OpenMetrics."""

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
        self._lags: dict[str, Lag] = {}
        self._last = 0.0
        self._kept: dict[str, tuple[CycleReport, bytes]] = {}

    # --- what happens ----------------------------------------------------------------------------

    def observe(self, report: CycleReport) -> None:
        """Count what a cycle did, and how long it took."""
        self._cycles.labels("failed" if report.trouble else "done").inc()
        self._cycle_seconds.observe(report.took)
        self._last = report.at
        for outcome in report.outcomes:
            self._actions.labels(action_name(outcome.action), str(outcome.result)).inc()
            if outcome.result == Result.DONE:
                self._done(outcome, report)
        if report.leads:
            self._follow(report)
        elif not report.trouble:
            self._under_way.clear()
            self._lags.clear()

    def _done(self, outcome: Outcome, report: CycleReport) -> None:
        """Count what an action that was carried out means for rolls, and for the way of a version.

        A converged roll is told by the label that says so, which has when it began too. A version
        that is made anew was mirrored long ago.
        """
        match outcome.action:
            case CreateSecret() as create if not outcome.message and REMADE not in create.labels:
                created = instant(create.identity.created) / 1e9
                instance = create.labels.get(INSTANCE, "")
                rotation = rotation_of(instance, create.secret, create.identity)
                self._lags[create.secret] = Lag(rotation, {})
                self._under_way[create.secret] = create.docker_name, created
                lag = max(0.0, report.at - created)
                self._rotation_lag.labels(names.MIRRORED).observe(lag, _exemplar(rotation))
            case RollService() as roll:
                back = roll.reason == Reason.GOING_BACK
                self._rolls.labels(names.WENT_BACK if back else names.BEGUN).inc()
            case Annotate(reason=Reason.CONVERGED) as note:
                exemplar = _exemplar_of(note, report)
                for seconds in _durations(note.put):
                    self._rolls.labels(names.CONVERGED).inc(1, exemplar)
                    self._roll_seconds.observe(seconds, exemplar)
            case Annotate(reason=Reason.ROLL_FAILED) as note:
                failed = sum(key == ASIDE or key.startswith(f"{ASIDE}.") for key in note.put)
                self._rolls.labels(names.FAILED).inc(failed, _exemplar_of(note, report))
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
            condition = conditions.get(name)
            if condition is None:
                del self._under_way[name], self._lags[name]
                continue
            if ids.get(docker_name) not in running:
                continue
            self._reach(name, names.FIRST_TASK, report.at - created)
            services = condition.services
            ours = condition.versions[-1:] == (condition.running_version,)
            if ours and all(s.state == State.SYNCED for s in services):
                self._reach(name, names.LAST_TASK, report.at - created)
                del self._under_way[name]

    def _reach(self, name: str, stage: str, seconds: float) -> None:
        lag = self._lags[name]
        if stage not in lag.seconds:
            seconds = max(0.0, seconds)
            # A new one: a scrape may be at the former one in its own thread.
            self._lags[name] = Lag(lag.rotation, {**lag.seconds, stage: seconds})
            self._rotation_lag.labels(stage).observe(seconds, _exemplar(lag.rotation))

    # --- what is scraped -------------------------------------------------------------------------

    def page(self, known: Known) -> Answer:
        """Return all metrics, in Prometheus' text format or in that of OpenMetrics."""
        form = OPEN_METRICS if "application/openmetrics-text" in known.accept else TEXT
        counted = _written(self._registry, form)
        itself = _written(_registry_of(self._itself(known)), form)
        end = _END if form == OPEN_METRICS else b""
        return Answer(200, form, counted + itself + self._of_leader(known, form) + end)

    def _of_leader(self, known: Known, form: str) -> bytes:
        """Return what only the bridge that leads tells; nothing where another one may lead."""
        seen = known.seen
        trouble = known.report is not None and known.report.trouble
        if seen is None or (trouble and known.now - seen.at > OUTDATED):
            self._kept.clear()
            return b""
        former, text = self._kept.get(form, (None, b""))
        if former is not seen:
            families = [*servers(known, seen), *states(known, seen, dict(self._lags))]
            text = _written(_registry_of(iter(families)), form)
            self._kept[form] = seen, text
        return text

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
        yield _counts(names.NOTIFICATIONS, NOTIFICATIONS)


_OK = 200


class _Families:
    """A registry of families that are made already, as ``generate_latest`` takes one."""

    def __init__(self, families: Iterator[Any]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        return self._families


def _registry_of(families: Iterator[Any]) -> CollectorRegistry:
    return cast("CollectorRegistry", _Families(families))


def _written(registry: CollectorRegistry, form: str) -> bytes:
    """Return metrics in a form, without its end."""
    if form == OPEN_METRICS:
        whole: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return whole.removesuffix(_END)
    return generate_latest(registry)


def _exemplar(rotation: str) -> dict[str, str]:
    """Return what leads from a measure to the rotation that it is of, in log and evidence."""
    return {"rotation": rotation}


def _exemplar_of(note: Annotate, report: CycleReport) -> dict[str, str] | None:
    mirror = report.world.swarm.mirror_by_id.get(note.secret_id) if report.world else None
    if mirror is None:
        return None
    return _exemplar(mirror.rotation)


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.full, metric.text, metric.labels, registry=registry)


def _histogram(
    metric: Metric, registry: CollectorRegistry, buckets: tuple[float, ...]
) -> Histogram:
    return Histogram(metric.full, metric.text, metric.labels, registry=registry, buckets=buckets)


def _counts(metric: Metric, tally: Tally[Any]) -> CounterMetricFamily:
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
