"""Each action has one line in the log; people search and alert for its event and its keys."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest

from bridge import logs
from bridge.model.actions import Action, Annotate, CreateSecret, RemoveSecret, Tend, TendGeneration
from bridge.model.labels import GOOD
from bridge.model.memory import Outcome, Result
from bridge.model.reasons import Reason
from bridge.model.rotation import rotation_of
from bridge.model.verdicts import Verdict
from bridge.report.journal import Journal
from tests.support.builders import identity, wanted

CREATE = CreateSecret(
    secret="db",
    identity=identity(2),
    content=wanted("db").content,
    docker_name="db_v2",
    labels={},
    reason=Reason.NEW_VERSION,
    why="n",
)
REMOVE = RemoveSecret(
    secret="db", secret_id="id1", docker_name="db_v1", reason=Reason.OUTDATED, why="why"
)


def _mark(reason: Reason, *labels: str) -> Annotate:
    return Annotate(
        secret="db",
        secret_id="id2",
        docker_name="db_v2",
        reason=reason,
        why="why",
        put=dict.fromkeys(labels, "t"),
    )


def _tend(step: Tend, reason: Reason) -> TendGeneration:
    return TendGeneration(
        secret="db", secret_id="id1", docker_name="db_v1", step=step, reason=reason, why="why"
    )


def _line(outcome: Outcome) -> dict[str, Any]:
    stream = StringIO()
    logs.configure(stream)
    Journal(logs.logger(), "default").tell(outcome)
    line: dict[str, Any] = json.loads(stream.getvalue())
    for own in ("timestamp", "instance", "bridge"):  # the process may have a name by now
        line.pop(own, None)
    return line


@pytest.mark.parametrize(
    ("action", "event", "level"),
    [
        (CREATE, "mirrored", "info"),
        (_mark(Reason.CONVERGED, GOOD), "good", "info"),
        (_mark(Reason.CONVERGED), "converged", "info"),
        (_mark(Reason.ROLL_FAILED), "set_aside", "warning"),
        (REMOVE, "pruned", "info"),
        (_tend(Tend.RETIRE, Reason.RETIRING), "retiring", "info"),
        (_tend(Tend.RELEASE, Reason.LEASE_VANISHED), "custody_revoked", "warning"),
    ],
)
def test_what_was_done(action: Action, event: str, level: str) -> None:
    line = _line(Outcome(action, Result.DONE))
    assert (line["event"], line["level"]) == (event, level)
    assert (line["secret"], line["reason"]) == ("db", str(action.reason))


def test_what_was_mirrored_before() -> None:
    assert _line(Outcome(CREATE, Result.DONE, "db_v1 holds the same bytes")) == {
        "event": "already_mirrored",
        "level": "info",
        "reason": "NewVersion",
        "message": "db_v1 holds the same bytes",
        "rotation": rotation_of("default", "db", identity(2)),
        "secret": "db",
        "version": 2,
        "docker_secret": "db_v2",
    }


@pytest.mark.parametrize("result", [Result.MOVED, Result.UNKNOWN])
def test_what_has_to_be_looked_at_again(result: Result) -> None:
    line = _line(Outcome(REMOVE, result, "something refers to it again"))
    assert (line["event"], line["level"]) == ("looking_again", "info")
    assert line["wanted"] == REMOVE.summary
    assert line["message"] == "something refers to it again"


def test_a_refusal_has_the_reason_of_the_verdict() -> None:
    verdict = Verdict(identity(2), "shape", Reason.CONTENT_DIFFERS, "other content")
    line = _line(Outcome(CREATE, Result.REFUSED, "other content", verdict))
    assert (line["event"], line["level"]) == ("refused", "warning")
    assert (line["reason"], line["message"]) == ("ContentDiffers", "other content")


def test_a_failure_names_what_was_wanted() -> None:
    line = _line(Outcome(CREATE, Result.FAILED, "no answer"))
    assert (line["event"], line["level"]) == ("failed", "warning")
    assert (line["wanted"], line["message"]) == (CREATE.summary, "no answer")
