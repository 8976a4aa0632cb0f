"""How a running bridge is, and whether a restart of it would help."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.vault_view import NOT_YET, Unreadable, VaultView

STUCK = 180.0
"""Seconds without any sign of life, beyond the pause that was meant, after which a bridge is stuck.

Its requests have time-outs of 30 s, and a manager without a leader answers after 20 s. So this is
what several of them in a row need.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vitals:
    """The latest signs of life of a bridge.

    Attributes:
        at: When the last cycle ended or failed, or the bridge began, on the boot clock.
        pause: Seconds that the bridge meant to wait then.
        cycles: How many cycles have ended well.
        leader: Host of the bridge that leads, where it is another one.
        vault: Why Vault cannot be used, or not yet; empty where it can; None where nobody has asked
            it.
        trouble: Why the last cycle failed; empty where it did not.
        unfit: Why it cannot follow the bridge that leads, and a restart helps; empty where it can.
    """

    at: float
    pause: float = 0.0
    cycles: int = 0
    leader: str = ""
    vault: str | None = None
    trouble: str = ""
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """How a bridge is.

    Attributes:
        healthy: False only where it is stuck, unfit or gone, so that a restart helps.
        message: The reason, in one line without a value.
    """

    healthy: bool
    message: str


def judge(vitals: Vitals, age: float) -> Health:
    """Return how a bridge is.

    A server that is away is no illness: the bridge waits for it, and a restarted one would too. Nor
    is a refused credential, but in the middle of an update of its service, which goes back then.

    Args:
        age: Seconds since its last sign of life.
    """
    if age > vitals.pause + STUCK:
        return Health(
            healthy=False,
            message=f"stuck: no sign of life for {age:.0f} s, and the next one was due after"
            f" {vitals.pause:.0f} s",
        )
    if vitals.unfit:
        return Health(healthy=False, message=f"unfit: {vitals.unfit}")
    if vitals.trouble:
        begun = "" if vitals.cycles else "no cycle has run yet: "
        return Health(healthy=True, message=f"waits: {begun}{vitals.trouble}")
    if not vitals.cycles:
        return Health(healthy=True, message="starts: the first cycle has not ended yet")
    role = f"stands by, the bridge on {vitals.leader} leads" if vitals.leader else "leads"
    words = [role, f"last cycle {age:.0f} s ago"]
    if vitals.vault is not None:
        words.append(vitals.vault or "Vault answers")
    return Health(healthy=True, message="; ".join(words))


def is_first_look(view: VaultView) -> bool:
    """Return whether nothing is known of Vault yet, not even that it is away."""
    return bool(view.paths) and all(seen == NOT_YET for seen in view.paths.values())


def words_of_vault(view: VaultView) -> str:
    """Return why Vault as a whole cannot be used, or not yet; empty where it can.

    What concerns one path alone is shown by ``status``.
    """
    seen = [each for each in view.paths.values() if isinstance(each, Unreadable) and each.away]
    whole = next((each for each in seen if each.everywhere), None)
    if whole is None and seen and len(seen) == len(view.paths):
        whole = next((each for each in seen if each != NOT_YET), None)
        if whole is None:
            return "the first look at Vault is under way"
    return f"Vault cannot be used: {whole.message}" if whole else ""
