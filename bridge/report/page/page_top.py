"""What stands on top of the page: the answer, and what concerns the bridge as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bridge.model.cycle_report import CycleReport
from bridge.model.plan import Plan
from bridge.model.reasons import VAULT_AWAY, Reason
from bridge.model.vitals import is_first_look, judge, words_of_vault
from bridge.model.world import World
from bridge.report.answers import Known
from bridge.report.page.page_view import Banner, Fact, Row, Standing, Tone
from bridge.report.page.page_words import ago, count, exact, span, until
from bridge.report.remedies import remedy
from bridge.report.status import CREDENTIAL_SOON


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer to what the page is kept open for."""

    tone: Tone
    text: str
    detail: str = ""


def headline(known: Known, rows: Sequence[Row]) -> Headline:
    """Return the answer, the most urgent one first."""
    health = judge(known.vitals, known.age)
    if not health.healthy:
        what, _, why = health.message.partition(": ")
        text = f"{why[:1].upper()}{why[1:]}. Restart it. Services keep what they have."
        return Headline(Tone.BAD, f"This bridge is {what}.", text)
    if known.vitals.leader:
        text = f"This bridge stands by; the one on {known.vitals.leader} leads."
        return Headline(Tone.WAITS, text, "What it sees and does is on its own page.")
    if known.seen is None:
        return _nothing_seen(known)
    if not rows:
        text = "Name one below `secrets`, and let the bridge read its configuration again."
        return Headline(Tone.WAITS, "No secret is configured.", text)
    if known.vitals.trouble:
        then = _answer(known.seen, rows)
        old = ago(known.now - known.seen.at)
        return Headline(Tone.BAD, f"Not known now. {then.text}", f"That was {old}. {then.detail}")
    return _answer(known.seen, rows)


def _nothing_seen(known: Known) -> Headline:
    if known.vitals.trouble:
        return Headline(Tone.BAD, "The swarm cannot be seen yet.", "Services keep what they have.")
    return Headline(Tone.MOVES, "The bridge starts.", "Its first look has not ended yet.")


def _answer(seen: CycleReport, rows: Sequence[Row]) -> Headline:
    asked = Counter(row.standing for row in rows)
    detail = ", ".join(
        f"{asked[standing]:,} {one if asked[standing] == 1 else more}"
        for standing, (one, more) in _VERBS.items()
        if asked[standing]
    )
    detail = f"{detail}." if detail else ""
    if seen.world is not None and words_of_vault(seen.world.vault):
        return _without_vault(seen.world, detail)
    tone = next((_TONES[standing] for standing in _TONES if asked[standing]), Tone.GOOD)
    of = [row for row in rows if row.reason != Reason.UNMAPPED]
    text = _current(sum(row.is_current is True for row in of), len(of))
    return Headline(tone, text, detail or "Nothing moves, nobody is needed.")


def _without_vault(world: World, detail: str) -> Headline:
    if is_first_look(world.vault):
        return Headline(Tone.MOVES, "The first look at Vault is under way.", detail)
    text = "Vault cannot be used. Services keep the credentials they have."
    return Headline(Tone.BAD, text, detail)


_VERBS = {
    Standing.NEEDS: ("needs somebody", "need somebody"),
    Standing.MOVES: ("moves", "move"),
    Standing.WAITS: ("waits", "wait"),
}
_TONES = {Standing.NEEDS: Tone.BAD, Standing.MOVES: Tone.MOVES, Standing.WAITS: Tone.WAITS}


def _current(current: int, of: int) -> str:
    """Write how many secrets are on their current credential."""
    if of == 1:
        return f"The secret is {'' if current else 'not '}on its current credential."
    if current < of:
        verb = "is" if current == 1 else "are"
        return f"{current:,} of {count(of, 'secret')} {verb} on the current credential."
    return f"All {count(of, 'secret')} are on their current credential."


def banners(known: Known, rows: Sequence[Row]) -> Iterator[Banner]:
    """Yield what concerns all secrets, each once, with what to do."""
    seen = known.seen
    if known.vitals.trouble:
        old = f" What is shown is {span(known.now - seen.at)} old." if seen else ""
        words = known.vitals.trouble
        words = f"{words[:1].upper()}{words[1:]}"
        text = f"{words}.{old} It is tried again; services keep what they have."
        yield Banner(Tone.BAD, "The last cycle failed", text)
    if known.refused:
        text = f"The former one stays in force. {'; '.join(known.refused)}"
        yield Banner(Tone.BAD, "The configuration was not taken", text)
    if seen is not None and seen.world is not None and seen.plan is not None:
        yield from _seen(seen.world, seen.plan, _first_end(rows, known.now))
        yield from _credential(seen.credential_ends, known.now)


def _first_end(rows: Iterable[Row], now: float) -> str:
    """Write which lease ends first while nobody renews any; empty where there is none."""
    leases = ((row.lease, row.name) for row in rows if row.lease and not row.lease.static)
    ends = min(((lease.ends, name) for lease, name in leases), default=None)
    if ends is None:
        return ""
    at, name = ends
    when = f"ends {until(at - now)}" if at > now else f"ended {ago(now - at)}"
    return f" No lease is renewed meanwhile: the first, of {name}, {when}."


def _seen(world: World, plan: Plan, first_end: str) -> Iterator[Banner]:
    away = words_of_vault(world.vault)
    if away and not is_first_look(world.vault):
        refused = world.vault.login_refused
        reason = Reason.LOGIN_REFUSED if refused else Reason.VAULT_UNREACHABLE
        title = "Vault refuses the login" if refused else "Vault gives no usable answer"
        words = away.removeprefix("Vault cannot be used: ")
        text = f"{words}.{first_end}" if first_end else words
        yield Banner(Tone.BAD, title, text, remedy(reason, ""))
    if pause := world.swarm.pauses.get(""):
        text = f"All rolls are {pause.text}"
        yield Banner(Tone.WAITS, "Paused by an operator", text, remedy(Reason.PAUSED, ""))
    for hold in plan.holds:
        if not hold.secret and hold.reason not in _SHOWN_ONCE:
            tone = Tone.WAITS if hold.waits else Tone.BAD
            yield Banner(tone, hold.reason, hold.message, remedy(hold.reason, "NAME", hold.service))


_SHOWN_ONCE = VAULT_AWAY | {Reason.PAUSED}


def _credential(ends: float | None, now: float) -> Iterator[Banner]:
    """Yield a warning where our own credential for Vault ends soon: nothing renews it."""
    if ends is not None and ends - now < CREDENTIAL_SOON:
        title = f"The bridge's own credential ends {until(ends - now)}"
        text = f"Its secret id for Vault ends at {exact(ends)}."
        yield Banner(Tone.BAD, title, text, remedy(Reason.LOGIN_REFUSED, ""))


def facts(known: Known) -> Iterator[Fact]:
    """Yield what is known of the bridge and of its servers, each with when."""
    vitals, seen = known.vitals, known.seen
    holder = known.report.holder if known.report else None
    on = f" on {holder.host}" if holder and not vitals.leader else ""
    if vitals.leader:
        yield Fact("Bridge", "stands by")
    elif vitals.trouble:
        yield Fact("Bridge", "waits")
    else:
        yield Fact("Bridge", f"leads{on}" if seen else "starts")
    if seen is None or seen.world is None:
        return
    view = seen.world.vault
    if is_first_look(view):
        yield Fact("Vault", "is asked for the first time")
    else:
        vault = "cannot be used, asked" if words_of_vault(view) else "answers"
        yield Fact("Vault", vault, view.as_of)
    yield Fact("Swarm", "seen", seen.world.swarm.as_of)


def causes(rows: Iterable[Row]) -> dict[str, int]:
    """Return how many rows share each reason, the most frequent first, where several do."""
    found: dict[str, int] = {}
    for row in rows:
        found[row.reason] = found.get(row.reason, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))
