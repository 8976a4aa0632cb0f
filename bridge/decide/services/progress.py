"""How far is a service's roll: under way, converged, baked, failed?

``completed`` alone proves nothing: with ``FailureAction: continue`` the engine reports it while
every task crashes, and a foreign scale in the middle of a roll hides a failure. The tasks are the
truth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from bridge.model.desired import Rollout
from bridge.model.memory import Memory, Watch
from bridge.model.service import Service, Task, UpdateState
from bridge.model.swarm_view import SwarmView

MOVING = frozenset((UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED))
"""States of an update that ends by itself."""

PAUSED = frozenset((UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED))
"""States of an update that failed, and in which the engine does nothing more."""

UNFINISHED = MOVING | PAUSED


LONGEST_START = 5.0
"""Seconds for which a task that cannot be started is called ``starting`` at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """What tasks that should hold some secrets tell of the start of their processes.

    Attributes:
        unplaced: Those that no node takes.
        refused: Those that a node could not start, since a task was last seen to become good.
        waiting: Whether one has yet to be started.
        starting: Whether one is being started, or is started and not yet healthy.
        lasting: Whether one has been so for longer than a start takes, by the engine's own clock:
            it is started, and not healthy.
        ended: Whether one was started and ended by itself.
        up: How many tasks of the service run and shall, whatever they hold.
    """

    unplaced: tuple[Task, ...] = ()
    refused: tuple[Task, ...] = ()
    waiting: bool = False
    starting: bool = False
    lasting: bool = False
    ended: bool = False
    up: int = 0

    @property
    def hindered(self) -> bool:
        """Whether the engine says of one why it is not started."""
        return bool(self.unplaced or self.refused)

    @property
    def stuck(self) -> bool:
        """Whether none was ever started, and the engine says why."""
        return self.hindered and not self.starting and not self.ended


def _starts_of(tasks: Iterable[Task], on_it: Iterable[Task]) -> Starts:
    """Return how far the tasks that should hold some secrets are started.

    Those on nodes that are down tell nothing: the engine shows what was reported last.

    Args:
        tasks: All tasks of the service.
        on_it: Those that should hold the secrets.
    """
    up = sum(task.running for task in tasks if not task.lost)
    reported = [task for task in on_it if not task.lost]
    if all(task.running for task in reported):
        return Starts(up=up)
    return Starts(
        unplaced=tuple(task for task in reported if task.unplaced),
        refused=_refused_since(reported),
        waiting=any(task.unstarted for task in reported),
        starting=any(_is_starting(task) for task in reported),
        lasting=_start_lasts(reported),
        ended=any(task.ended_by_itself for task in reported),
        up=up,
    )


def _refused_since(on_it: Sequence[Task]) -> tuple[Task, ...]:
    """Return the tasks that a node could not start since one was last seen to become good.

    The engine lists tasks that ended long ago too; what hindered those is over.
    """
    latest = max((task.seen for task in on_it if task.running), default=float("-inf"))
    return tuple(task for task in on_it if task.refused and task.seen > latest)


def _is_starting(task: Task) -> bool:
    """Return whether a task is being started, or is started and its health check has yet to pass.

    The engine calls both ``starting``.
    """
    return task.state == "starting" and not task.ending


def _start_lasts(on_it: Sequence[Task]) -> bool:
    """Return whether a task has been ``starting`` for longer than a start takes.

    Seconds count up to what was reported last of any task: the engine's clock may be another one.
    """
    newest = max((task.seen for task in on_it), default=0.0)
    return any(_is_starting(task) and newest - task.seen >= LONGEST_START for task in on_it)


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How the tasks of a service stand with the secrets that they should hold.

    Attributes:
        good: Ids of the tasks that run with all of them.
        failed: Ids of the tasks that had all of them and failed.
        lost: Ids of the tasks on nodes that are down.
        others: How many live tasks lack one, also those being shut down.
        stale: How many of these are not even meant to end.
        error: The latest error of a task that should have held them, if any.
        starts: What these tasks tell of the start of their processes.
    """

    wanted: frozenset[str]
    good: frozenset[str]
    failed: frozenset[str]
    lost: frozenset[str]
    others: int
    stale: int
    desired: int
    converged: bool
    error: str
    starts: Starts

    @property
    def only_ending(self) -> bool:
        """Whether nothing is missing but the end of tasks that are being shut down."""
        return bool(self.others) and not self.stale and len(self.good) >= self.desired

    @property
    def text(self) -> str:
        """How many tasks are on it, in words."""
        are = "task is" if self.desired == 1 else "tasks are"
        words = f"{len(self.good)} of {self.desired} {are} on it"
        if not self.others:
            return words
        still = "still ending" if len(self.good) >= self.desired else "still on another version"
        return f"{words}, {self.others} {still}"

    @property
    def words(self) -> str:
        """The latest error of a task, to be appended to a message; empty where there is none."""
        return f"; a task reported: {self.error}" if self.error else ""

    @property
    def story(self) -> str:
        """How many tasks are on it, with the latest error of a task."""
        return self.text + self.words


def on_trial(service: Service, swarm: SwarmView, instance: str) -> frozenset[str]:
    """Return the ids of our versions in a service's Spec that have not proved themselves there."""
    mirrors = (swarm.mirror_by_id.get(reference.secret_id) for reference in service.references)
    return frozenset(
        mirror.id
        for mirror in mirrors
        if mirror
        and mirror.instance == instance
        and (not mirror.good or mirror.open_record(service.id))
    )


def progress_of(service: Service, tasks: tuple[Task, ...], wanted: frozenset[str]) -> Progress:
    """Return how a service's tasks compare with the secrets that they should hold."""
    on_it: list[Task] = []
    others: list[Task] = []
    for task in tasks:
        (on_it if wanted <= task.secret_ids else others).append(task)
    # One that is to end on a node that is down does not count: nothing will ever report its end.
    lacking = [task for task in others if task.live and not task.ghost]
    good = frozenset(task.id for task in on_it if task.running)
    return Progress(
        wanted=wanted,
        good=good,
        failed=frozenset(task.id for task in on_it if task.failed),
        lost=frozenset(task.id for task in tasks if task.lost),
        others=len(lacking),
        stale=sum(not task.ending for task in lacking),
        desired=service.desired_tasks,
        converged=_has_converged(service, wanted, len(good), len(lacking)),
        error=_latest_error(on_it),
        starts=_starts_of(tasks, on_it),
    )


def _has_converged(service: Service, wanted: frozenset[str], good: int, others: int) -> bool:
    """Return whether a service has all its tasks on some secrets, and will keep them so.

    1. A look that tore shows tasks of another moment than the Spec.
    2. The Spec refers to all of the secrets: else the engine is about to replace the tasks.
    3. No live task lacks one. The engine calls an update ``completed`` while an old task is still
       being shut down.
    4. As many run as the orchestrator wants. With ``continue`` the engine calls an update
       ``completed`` while every task crashes.
    5. The engine is at no update and has stopped none. After writes that restart no task it reports
       none at all, so that ``completed`` is not asked for.

    Args:
        good: How many tasks run with all of them.
        others: How many live tasks lack one.
    """
    if service.torn or not wanted <= service.secret_ids:  # 1, 2
        return False
    if others or good < service.desired_tasks:  # 3, 4
        return False
    return service.update not in UNFINISHED  # 5


def last_error(tasks: Iterable[Task], wanted: frozenset[str]) -> str:
    """Return the latest error of a task that should have held these secrets, if any."""
    return _latest_error([task for task in tasks if wanted <= task.secret_ids])


def _latest_error(tasks: Iterable[Task]) -> str:
    troubled = [task for task in tasks if task.error]
    return max(troubled, key=lambda task: task.seen).error if troubled else ""


LONGEST_GAP = 10.0
"""Seconds between two looks that count at most: time when no bridge was watching does not count."""


def watched(service: Service, progress: Progress, before: Watch | None, now: float) -> Watch:
    """Return the watch as of now, from the one before and what is seen."""
    best = len(progress.good)
    lost = progress.lost | (before.lost if before else frozenset())
    if before is None or before.wanted != progress.wanted:
        return Watch(
            wanted=progress.wanted,
            good=progress.good,
            since=now,
            best=best,
            idle=0.0,
            looked=now,
            lost=lost,
        )
    if service.torn:
        return before  # nothing was learned
    steady = progress.converged and progress.good == before.good
    gap = min(max(0.0, now - before.looked), LONGEST_GAP)
    # A machine that died takes its tasks with it, which says nothing of the version.
    died = bool((before.good & progress.failed) - lost) and service.update not in MOVING
    stuck, idle = _waited(progress, before, gap)
    return Watch(
        wanted=progress.wanted,
        good=progress.good,
        since=before.since if steady else now,
        best=max(before.best, best),
        idle=0.0 if best > before.best else idle,
        looked=now,
        died=before.died or died,
        lost=lost,
        stuck=stuck,
    )


def _waited(progress: Progress, before: Watch, gap: float) -> tuple[float, float]:
    """Count the seconds for which nothing could start apart from those for which nothing was good.

    While tasks are started one look tells nothing of what hinders them.
    """
    if progress.starts.stuck:
        return before.stuck + gap, before.idle
    if progress.starts.starting and progress.starts.hindered:
        return before.stuck, before.idle + gap
    return 0.0, 0.0 if before.stuck else before.idle + gap


SOONEST_LOOK = 0.05
LATEST_LOOK = 1.0
"""Seconds after which it is looked again whether a task has ended, at least and at most."""


def end_looked_for_at(service: Service, watch: Watch, now: float) -> float:
    """Return when to look again whether former tasks have ended: no event tells of that.

    Each pause is a quarter of the time that it has taken since the engine was done with the update.
    """
    waited = watch.idle - service.monitor
    return now + min(max(waited / 4, SOONEST_LOOK), LATEST_LOOK)


def settled_at(
    service: Service, tasks: Iterable[Task], watch: Watch, memory: Memory, now: float
) -> float:
    """Return when a converged service frees its place in flight, if its tasks stay as they are.

    They must have run for as long as Monitor. So long the engine has watched them before it was
    done, and that is not waited for once more, as far as the time has passed by our own clock too:
    somebody may have set the engine's.
    """
    passed = now - memory.met_at(service.id, now, service.update_started)
    watched = min(_watched_by_engine(service, tasks, watch.good), passed)
    return watch.since + max(0.0, service.monitor - watched)


def _watched_by_engine(service: Service, tasks: Iterable[Task], good: Collection[str]) -> float:
    """Return for how many seconds the good tasks had run when the engine was done with the update.

    Once the last task is up, the updater waits for as long as Monitor before it says ``completed``.
    That alone proves nothing of these tasks: with ``continue`` or a ``max_failure_ratio`` they may
    have been started since then, for others that failed; and a new leader of the swarm says it at
    once. But a task that the leader has not written since then has run since then.
    """
    if service.update != UpdateState.COMPLETED:
        return 0.0
    written = [task.written for task in tasks if task.id in good]
    if not all(written):
        return 0.0
    return max(0.0, service.update_completed - max(written, default=service.update_started))


def baked_at(settled: float, watch: Watch, rollout: Rollout) -> float:
    """Return when a converged service will have baked, if its tasks stay as they are.

    Args:
        settled: See ``settled_at``.
    """
    return max(watch.since + rollout.bake, settled)


def failure_of(
    service: Service, progress: Progress, watch: Watch, rollout: Rollout, *, excused: bool
) -> str:
    """Return why a roll has failed; empty while it may still succeed.

    Args:
        excused: Whether the engine has stopped it for a machine that died.
    """
    if service.update in (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED) and not excused:
        return f"Swarm stopped the update ({service.update_message}){progress.words}"
    if watch.died:
        return f"a task did not stay up on it{progress.words}"
    lacks = len(progress.good) < progress.desired or progress.stale
    if lacks and watch.idle >= _patience(service, rollout):
        return f"no new task became good in {rollout.timeout:g} s; {progress.story}"
    return ""


def timeout_at(service: Service, watch: Watch, rollout: Rollout, now: float) -> float:
    """Return when a roll will have failed, if no further task becomes good."""
    return now + max(0.0, _patience(service, rollout) - watch.idle)


def overdue_at(service: Service, memory: Memory, rollout: Rollout, now: float) -> float:
    """Return when an update has taken too long.

    It counts from when it was seen first: when it began is told by the engine's clock.
    """
    return memory.met_at(service.id, now, service.update_started) + rollout.timeout


def _patience(service: Service, rollout: Rollout) -> float:
    """Return how long a new good task may be in coming: the engine itself waits between them."""
    return rollout.timeout + service.monitor + service.delay
