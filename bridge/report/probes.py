"""Answers for whoever watches the bridge: is it alive, is it ready, how does each secret stand?"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.model.cycle_report import CycleReport
from bridge.model.reasons import Reason
from bridge.model.vitals import is_first_look, judge, words_of_vault
from bridge.report.answers import Answer, Known
from bridge.report.status import credential_json, leader_json, status_json, view_json

UNAVAILABLE = 503

FAILING = frozenset(
    (
        Reason.ROLL_FAILED,
        Reason.FAILED_ELSEWHERE,
        Reason.GENERATIONS_FAILED,
        Reason.NO_WAY_BACK,
        Reason.CREDENTIAL_ENDED,
        Reason.LEASE_UNSTABLE,
        Reason.TRYING_AGAIN,
        Reason.SWARM_REFUSED,
        Reason.VAULT_REFUSED,
        Reason.CUSTODY_REFUSED,
        Reason.RENEWAL_FAILED,
        Reason.REVOCATION_FAILED,
        Reason.AUDIT_UNWRITABLE,
    )
)
"""Reasons by which a rotation has failed, fails again and again, or cannot begin."""


def livez(known: Known) -> Answer:
    """Tell whether the cycles go on, by the rule of ``vault-bridge health``."""
    health = judge(known.vitals, known.age)
    return Answer.of_text(health.message, 200 if health.healthy else UNAVAILABLE)


def readyz(known: Known) -> Answer:
    """Tell whether rotations can go on and do, with the reasons where they do not.

    Ready is a bridge with a configuration that is in force as it is in its file, which has seen the
    swarm, which leads or stands by, which has seen Vault or knows that it is away, and of whose
    rotations none fails. One that stands by answers for its own part only.
    """
    reasons = list(_reasons(known))
    notes = list(_notes(known.seen))
    found = {"ready": not reasons, "role": _role(known), "reasons": reasons, "notes": notes}
    return Answer.of_json(found, UNAVAILABLE if reasons else 200)


def status(known: Known) -> Answer:
    """Tell how each secret stands, in the words of ``status --json``. Only the leader knows."""
    report, seen = known.report, known.seen
    if report is not None and not report.trouble and seen is not None and seen.plan is not None:
        leader = {"leader": leader_json(report.holder)}
        ends = {"credential": credential_json(report.credential_ends)}
        states = status_json(seen.plan.conditions)
        vault = {"vault_asked": True, "vault": view_json(None, asked=True)}
        return Answer.of_json(states | leader | ends | vault)
    if report is None:
        message = "no cycle has ended yet"
    elif report.trouble:
        message = report.trouble
    else:
        whom = f": ask the one on {report.leader}, which leads" if report.leader else ""
        message = f"this bridge stands by{whom}"
    holder = leader_json(report.holder) if report else None
    return Answer.of_json({"message": message, "leader": holder}, UNAVAILABLE)


def _role(known: Known) -> str:
    """Say what the bridge is among those of its instance."""
    if known.report is None:
        return "starts"
    if known.report.trouble:
        return "waits"
    return "leads" if known.report.leads else "stands by"


def _reasons(known: Known) -> Iterator[str]:
    """Say why the bridge is not ready."""
    health = judge(known.vitals, known.age)
    if not health.healthy:
        yield health.message
    for problem in known.refused:
        yield f"the configuration was not taken, the former one stays in force: {problem}"
    report = known.report
    if report is None:
        yield "no cycle has ended yet"
    elif report.trouble:
        yield report.trouble
    elif known.seen is not None:
        if _is_first_look(known.seen):
            yield "Vault has not been asked yet"
        yield from failures(known.seen)


def _is_first_look(seen: CycleReport) -> bool:
    return seen.world is not None and is_first_look(seen.world.vault)


def _notes(seen: CycleReport | None) -> Iterator[str]:
    """Say what a restart or another bridge would not change."""
    if seen is not None and seen.world is not None and not _is_first_look(seen):
        words = words_of_vault(seen.world.vault)
        if words:
            yield words


def failures(seen: CycleReport) -> Iterator[str]:
    """Say which rotations fail, each once; values and lease ids are never in these words."""
    if seen.plan is None:
        return
    told: dict[tuple[str, str, Reason], str] = {}
    for condition in seen.plan.conditions:
        for service in condition.services:
            if service.reason in FAILING:
                told[condition.name, service.name, service.reason] = service.message
    for hold in seen.plan.holds:
        if hold.reason in FAILING:
            told.setdefault((hold.secret, hold.service, hold.reason), hold.message)
    for (secret, on, reason), message in told.items():
        place = " on ".join(filter(None, (secret or "all secrets", on)))
        yield f"{place}: {message} ({reason})"
