"""What the status page shows, as frozen nouns: the template only writes what is decided here.

Times are seconds since the epoch; None where they are not known. Texts are plain, and the template
escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.model.reasons import State


class Standing(StrEnum):
    """What a secret asks of whoever looks: the sections of the page, the most urgent first."""

    NEEDS = "needs"
    MOVES = "moves"
    WAITS = "waits"
    CURRENT = "current"


class Tone(StrEnum):
    """How bad something is; each has a shape of its own besides its colour."""

    GOOD = "good"
    MOVES = "moves"
    WAITS = "waits"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Bar:
    """What is left of a credential, if nobody acts.

    Attributes:
        ends: When it ends.
        left: The part that is left, from 0 to 1; None where its whole length is not known.
        low: Whether little is left.
        static: Whether it is a password, which Vault rotates then, and no lease.
    """

    ends: float
    left: float | None
    low: bool
    static: bool = False


@dataclass(frozen=True, slots=True)
class TaskCount:
    """The tasks of a service that hold one version.

    Attributes:
        version: None for tasks that hold no version of the secret.
        running: How many of them run.
        others: How many are on their way up or down.
    """

    version: int | None
    running: int
    others: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceLine:
    """One service with regard to one secret.

    Attributes:
        version: Version that its Spec refers to.
        tasks: Its live tasks by version, newest first.
        wanted: How many tasks the orchestrator wants running; None where it is not in the swarm.
        remedy: What to do; empty where nothing is.
    """

    name: str
    state: State
    reason: str
    message: str
    version: int | None
    tasks: tuple[TaskCount, ...]
    wanted: int | None
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A time from one moment to another; ``until`` is None while it lasts."""

    since: float
    until: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """What the labels of a mirrored version keep of its rotation.

    Attributes:
        id: Name of the rotation, the same in log, metrics and evidence.
        by: Who wrote the version, where Vault or the path's own metadata tell; else empty.
        created: When Vault made the version.
        mirrored: When its Docker secret was made.
        begun: When the first service was rolled to it.
        good: When every service had converged and baked on it.
        ended: When nothing used it any more, or its credential ended.
        both: When it and the version before were valid, or in use, at the same time.
        aside: Whether it is set aside, for all services or for one.
    """

    version: int
    id: str
    by: str
    created: float
    mirrored: float
    begun: float | None
    good: float | None
    ended: float | None
    both: Span | None
    aside: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """What operators or the bridge itself wrote down about a secret, with when and why."""

    what: str
    at: float | None
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The credential of one generation; neither its lease's id nor its accessor is here."""

    version: int
    static: bool
    role: str
    user: str
    ends: float | None
    hard_end: float | None
    custody_ends: float | None
    next: str
    next_at: float | None
    because: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a drawn lane, from ``x`` on; the classes of the style sheet draw it."""

    x: float
    width: float
    look: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The drawn life of one version; ``aside`` where it is set aside."""

    version: int
    y: float
    segments: tuple[Segment, ...]
    aside: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A drawn window in which two versions were valid, or in use, at once."""

    x: float
    width: float
    y: float
    height: float
    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A drawn moment of the axis; ``anchor`` is SVG's ``text-anchor``."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawn rotations of a secret, in units of its own box; quiet times are drawn short."""

    width: float
    height: float
    lanes: tuple[Lane, ...]
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Dot:
    """A service in the row of a secret."""

    name: str
    state: State


@dataclass(frozen=True, kw_only=True, slots=True)
class Details:
    """What opening a row shows.

    Attributes:
        leased: Whether its versions are credentials with an end.
        source: Where in Vault it is from, in words.
        link: Its page in Vault's own user interface; empty where that is not configured.
    """

    remedy: str
    services: tuple[ServiceLine, ...]
    rotations: tuple[Rotation, ...]
    timeline: Timeline | None
    leased: bool
    leases: tuple[Lease, ...]
    marks: tuple[Mark, ...]
    source: str
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One secret.

    Attributes:
        standing: Section that it is in.
        is_current: Whether every service is known to be on Vault's current version; None where
            Vault's current version is not known.
        vault_version: None where Vault gave no answer.
        created: When Vault made the running version.
        overdue: Whether the running version is older than ``max_age`` allows.
        lease: What is left of the credential of the running version; None where it has none.
        quiet: Whether its reason needs no words beside it: all is well, or they stand above.
        moved: Tasks that run on the new version, of all that shall; None where nothing moves.
        details: None where they are not in the page.
    """

    name: str
    state: State
    standing: Standing
    reason: str
    message: str
    is_current: bool | None
    vault_version: int | None
    running_version: int | None
    created: float | None
    overdue: bool
    lease: Bar | None
    quiet: bool
    moved: tuple[int, int] | None
    services: tuple[Dot, ...]
    details: Details | None = None

    @property
    def text(self) -> str:
        """What is searched for it."""
        names = (self.name, *(service.name for service in self.services), self.reason)
        return " ".join(names).lower()


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason that several secrets of a section share."""

    reason: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """The secrets of one standing.

    Attributes:
        count: How many there are, also those that the query leaves out.
    """

    standing: Standing
    title: str
    count: int
    rows: tuple[Row, ...]
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Banner:
    """Something that concerns the whole bridge."""

    tone: Tone
    title: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact about the bridge, with the time that it is of."""

    name: str
    text: str
    at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What somebody looks for.

    Attributes:
        text: Each of its words must be in the name of the secret, of a service, or in the reason.
        standing: None for all.
        open: Names of the secrets whose details are wanted.
    """

    text: str = ""
    standing: Standing | None = None
    open: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class PageView:
    """The whole page.

    Attributes:
        tone: How the headline is meant.
        headline: The answer to what the page is kept open for.
        detail: What follows from it, in one sentence; may be empty.
        total: How many secrets there are.
        all_details: Whether every row has its details; else only those that were asked for.
    """

    instance: str
    version: str
    now: float
    tone: Tone
    headline: str
    detail: str
    banners: tuple[Banner, ...]
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
    total: int
    query: Query
    all_details: bool
