"""Roll records: what is written down on a Docker secret before a service is rolled to it.

A bridge that was killed in the middle of a roll, or another one that takes over, reads from it what
the service had before, and that the update is its own. Labels of the service could not tell: a
rollback by Swarm puts the former ones back, and a stack deploy removes those that its file lacks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class RollRecord:
    """The write-ahead record of one service's roll, a label of the Docker secret it is rolled to.

    Attributes:
        before: The references that the roll replaces, as the engine had them; they are put back if
            it fails. Empty where a first reference is added, and for a roll that goes back.
        index: Version index of the service that the update was sent with.
        at: When it was written, RFC 3339.
        done: When the service had converged and baked, RFC 3339; empty until then.
        frame: Fingerprint of the TaskTemplate without its secrets, at that time.
        unhealthy: Whether the service had less than its full number of tasks at that time.
        started: When the update before it began, by the engine's clock; 0 where there was none.
            Only an update that began later can be that of the roll.
        back: Whether the roll goes back to what the service had. An empty ``before`` then does not
            mean that it had no reference.
    """

    before: tuple[Mapping[str, Any], ...]
    index: int
    at: str
    done: str = ""
    frame: str = ""
    unhealthy: bool = False
    started: float = 0.0
    back: bool = False

    @property
    def before_ids(self) -> frozenset[str]:
        """Ids of the Docker secrets that going back would need; none once the roll is done."""
        return frozenset() if self.done else frozenset(ref["SecretID"] for ref in self.before)

    def write(self) -> str:
        """Return the label's value."""
        if self.done:
            return json.dumps({"at": self.at, "done": self.done})
        raw = {
            "before": list(self.before),
            "index": self.index,
            "at": self.at,
            "frame": self.frame,
            "started": self.started,
        }
        flags = {"ill": self.unhealthy, "back": self.back}
        return json.dumps(raw | {name: True for name, is_so in flags.items() if is_so})

    @classmethod
    def read(cls, text: str) -> RollRecord | None:
        """Return the record in a label's value; None where it is damaged."""
        try:
            raw = json.loads(text)
            before = tuple(dict(ref) for ref in raw.get("before", ()))
            record = cls(
                before=before,
                index=int(raw.get("index", 0)),
                at=str(raw["at"]),
                done=str(raw.get("done", "")),
                frame=str(raw.get("frame", "")),
                unhealthy=bool(raw.get("ill")),
                started=float(raw.get("started", 0.0)),
                back=bool(raw.get("back")),
            )
            _ = record.before_ids
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return record
