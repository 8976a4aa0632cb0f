"""What `vault-bridge evidence` prints: a table, CSV, or a page in Markdown for an auditor."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from bridge.evidence.chain import Record, Verdict
from bridge.evidence.histories import History, Rotation, histories_of
from bridge.model.spans import duration_text
from bridge.model.timestamps import timestamp

COLUMNS = (
    "seq",
    "at",
    "act",
    "outcome",
    "secret",
    "version",
    "former",
    "service",
    "rotation",
    "reason",
    "asked_by",
    "bridge",
    "message",
)
"""The columns of CSV."""

SHORT = ("seq", "at", "act", "secret", "version", "former", "service", "asked_by")
"""Those of the table, which has to fit on a terminal."""


def row_of(record: Record, columns: Sequence[str] = COLUMNS) -> list[str]:
    """Return a record as a row of texts."""
    found = {**record, "asked_by": who(record.get("asked_by"))}
    return [str(found.get(column, "")) for column in columns]


def csv_of(records: Iterable[Record]) -> str:
    """Return records as CSV with a head line.

    A text that a spreadsheet would take for a formula is preceded by an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_plain(cell) for cell in row_of(record)] for record in records)
    return out.getvalue()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def who(asked_by: object) -> str:
    """Return in words who asked for an act."""
    if not isinstance(asked_by, Mapping):
        return ""
    match asked_by.get("kind"):
        case "operator":
            name = asked_by.get("name") or "an operator"
            words = f"{name} by `{asked_by.get('command', '')}`"
            return f"{words}: {asked_by['reason']}" if asked_by.get("reason") else words
        case "vault":
            by = asked_by.get("created_by")
            version = f"version {asked_by.get('version')} in Vault"
            return f"{version}, written by {_writer(by)}" if isinstance(by, Mapping) else version
        case "schedule":
            return "the schedule"
        case "bridge":
            return "the bridge itself"
        case _:
            return ""


def _writer(by: Mapping[str, object]) -> str:
    name = by.get("actor") or by.get("entity_id") or by.get("declared") or by.get("client_id")
    return f"{name} (by the path's custom metadata)" if "declared" in by else str(name)


# --- the page -------------------------------------------------------------------------------------


def page_of(
    verdict: Verdict,
    shown: Sequence[Record],
    limits: Mapping[str, float | None],
    *,
    made: float,
    checked: Sequence[str],
) -> str:
    """Return a page in Markdown.

    Args:
        shown: The records that were asked for.
        limits: ``max_age`` in seconds, of each secret of the configuration that was asked for; the
            page names those without a rotation, too.
        made: When the page is made, seconds since the epoch.
        checked: What was verified and what was not, in words.
    """
    return "\n".join(_page(verdict, shown, limits, made, checked)) + "\n"


def _page(
    verdict: Verdict,
    shown: Sequence[Record],
    limits: Mapping[str, float | None],
    made: float,
    checked: Sequence[str],
) -> Iterator[str]:
    yield "# Rotations of secrets: evidence"
    yield ""
    first, last = (shown[0].get("at"), shown[-1].get("at")) if shown else ("-", "-")
    yield f"Made {timestamp(made)} from {len(shown)} records, {first} to {last}. All times are UTC."
    yield ""
    yield "## Is the evidence whole?"
    yield ""
    if verdict.faults:
        yield f"**No.** {len(verdict.faults)} faults; the first line that is wrong comes first:"
        yield ""
        yield from (f"- {_cell(str(fault))}" for fault in verdict.faults)
    else:
        yield f"Yes: {len(verdict.records)} records follow one another without a gap."
    yield ""
    yield from (f"- {_cell(words)}" for words in (*checked, *verdict.notes))
    histories = list(histories_of(shown))
    for history in histories:
        yield from _secret(history, limits.get(history.secret))
    yield from _without_rotation(limits, {history.secret for history in histories})
    yield ""
    yield "## What this does not show"
    yield ""
    yield (
        "That a value was changed where it is used: an application may go on with what it has read."
        " Who read a value in Vault: Vault's own audit log has that. Names of operators are those"
        " of their accounts on the machine where they ran the command, as that machine told them."
        " Renewals of leases are in the log, and not here."
    )


def _without_rotation(limits: Mapping[str, float | None], rotated: set[str]) -> Iterator[str]:
    """Name the secrets of which the records show no rotation: silence is no proof of one."""
    silent = sorted(limits.keys() - rotated)
    if not silent:
        return
    yield ""
    yield "## Secrets without a rotation in these records"
    yield ""
    yield from (f"- {_cell(name)}. {_policy(limits[name])}" for name in silent)


def _policy(limit: float | None) -> str:
    return f"Policy: `max_age` {duration_text(limit)}." if limit else "Policy: no `max_age`."


def _secret(history: History, limit: float | None) -> Iterator[str]:
    yield ""
    yield f"## {_cell(history.secret)}"
    yield ""
    yield f"{_policy(limit)} {len(history.rotations)} rotations."
    yield ""
    yield "| rotation | asked by | made | good everywhere | interval | both valid | outcome |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for number, rotation in zip(count(), history.rotations, strict=False):
        cells = (
            f"`{rotation.name}`",
            who(rotation.asked_by) or "-",
            _time(rotation.made),
            _time(rotation.good),
            _interval(history.interval(number), limit),
            _window(history.both_valid(number), failed=_is_failed(rotation)),
            _outcome(rotation),
        )
        yield f"| {' | '.join(map(_cell, cells))} |"
    failed = [(n, r) for n, r in enumerate(history.rotations) if r.failures]
    if failed:
        yield ""
        yield "Failures, and how they ended:"
        yield ""
    for number, rotation in failed:
        ended = history.ended_by(number)
        end = f"ended with `{ended.name}`, good {_time(ended.good)}" if ended else "not ended yet"
        for at, service, words in rotation.failures:
            place = f" on {_cell(service)}" if service else ""
            yield f"- {timestamp(at)} `{rotation.name}`{place}: {_cell(words)} ({end})"


def _interval(seconds: float | None, limit: float | None) -> str:
    if seconds is None:
        return "-"
    words = _span(seconds)
    return f"{words}, **longer than the policy**" if limit and seconds > limit else words


def _is_failed(rotation: Rotation) -> bool:
    return rotation.good is None and bool(rotation.failures)


def _window(window: tuple[float, float | None] | None, *, failed: bool) -> str:
    if window is None:
        return "-"
    begin, end = window
    if failed:
        return f"from {timestamp(begin)} until it was rolled back"
    if end is None:
        return f"from {timestamp(begin)} on"
    return f"{timestamp(begin)} to {timestamp(end)} ({_span(end - begin)})"


def _span(seconds: float) -> str:
    day, hour = 86400, 3600
    if seconds >= 2 * day:
        return f"{seconds / day:.1f} days"
    return f"{seconds / hour:.1f} hours" if seconds >= 2 * hour else f"{seconds:.0f} s"


def _outcome(rotation: Rotation) -> str:
    if rotation.good is not None:
        return "good" + (", after failures" if rotation.failures else "")
    return "failed" if _is_failed(rotation) else "not good on every service"


def _time(at: float | None) -> str:
    return "-" if at is None else timestamp(at)


def _cell(text: str) -> str:
    """Return a text that stays in its cell and in its line, and is no mark-up of its own."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
