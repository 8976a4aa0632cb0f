"""The words of notifications: plain text, short enough for a telephone, without any value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bridge.model.notification import Message, Topic
from bridge.model.timestamps import timestamp
from bridge.report.troubles import SWARM_AWAY, Place

MANY = 10
"""Lines of one message, beyond which the rest is a number."""

_TITLES = {
    Topic.FAILED: "Roll failed",
    Topic.HELD: "Held",
    Topic.LEASE_DANGER: "Lease in danger",
    Topic.OVERDUE: "Overdue for rotation",
    Topic.RECOVERED: "Recovered",
    Topic.ROTATED: "Rotated",
}


def troubled(
    event: Topic, cause: str, words: Mapping[Place, str], since: float, instance: str
) -> Message:
    """Return the message that something is wrong, for one cause.

    Args:
        words: What is wrong, by place.
        since: Since when, seconds since the epoch.
    """
    lines = _lines({_named(place): text for place, text in words.items()})
    lines += ["", f"Since {timestamp(since)}. {_advice(cause)}"]
    return _message(event, [place.secret for place in words], cause, lines, instance)


def recovered(causes: Mapping[Place, Sequence[str]], at: float, instance: str) -> Message:
    """Return the message that something is well again.

    Args:
        causes: What was wrong, by place.
    """
    words = {
        _named(place): f"no longer {_TITLES[place.event].lower()} ({', '.join(reasons)})"
        for place, reasons in causes.items()
    }
    every = sorted({reason for reasons in causes.values() for reason in reasons})
    lines = [*_lines(words), "", f"At {timestamp(at)}."]
    secrets = [place.secret for place in causes]
    return _message(Topic.RECOVERED, secrets, ", ".join(every), lines, instance)


def happened(
    event: Topic, cause: str, words: Mapping[str, str], at: float, instance: str
) -> Message:
    """Return the message that something was done.

    Args:
        words: What, by secret.
    """
    lines = [*_lines(words), "", f"At {timestamp(at)}."]
    shown = "" if event == Topic.ROTATED else cause
    return _message(event, list(words), shown, lines, instance)


def trial(instance: str) -> Message:
    """Return the message of ``vault-bridge notify --test``."""
    title = f"Test [vault-bridge {instance}]"
    body = "Sent by `vault-bridge notify --test`: messages of this bridge arrive here."
    return Message(Topic.ROTATED, title, body)


def _message(
    event: Topic, secrets: Collection[str], cause: str, lines: Sequence[str], instance: str
) -> Message:
    names = sorted(set(secrets))
    subject = _all(names[0]) if "" in names or len(names) == 1 else f"{len(names)} secrets"
    why = f" ({cause})" if cause else ""
    title = f"{_TITLES[event]}: {subject}{why} [vault-bridge {instance}]"
    return Message(event, title, "\n".join(lines))


def _named(place: Place) -> str:
    name = _all(place.secret)
    return f"{name} on {place.service}" if place.service else name


def _all(secret: str) -> str:
    return secret or "all secrets"


def _lines(words: Mapping[str, str]) -> list[str]:
    """Return a line for each place, or the words once where they are the same for all."""
    if len(words) > 1 and len(set(words.values())) == 1:
        names = sorted(words)
        more = [f"and {len(names) - MANY} more"] if len(names) > MANY else []
        return [next(iter(words.values())), ", ".join([*names[:MANY], *more])]
    lines = [f"{name}: {text}" if text else name for name, text in words.items()]
    return lines[:MANY] + ([f"and {len(lines) - MANY} more"] if len(lines) > MANY else [])


def _advice(cause: str) -> str:
    if cause == SWARM_AWAY:
        return "Services keep what they have; nothing is rotated until a manager answers."
    return f"`vault-bridge status` shows more; {cause} is explained in docs/reference/reasons.md."
