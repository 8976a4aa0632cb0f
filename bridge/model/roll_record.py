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
    """What was written down before a service was rolled, on the Docker secret it was rolled to.

    Attributes:
        before: The engine's own reference objects that were replaced; empty where one was added,
            and of a way back.
        index: The service's version index that the update was sent with.
        at: When it was written, RFC 3339.
        done: When the service had converged and baked; empty until then.
        frame: Fingerprint of all of the TaskTemplate but its secrets, as it was then.
        ill: Whether the service had less than its full number of tasks then.
        started: When the update before it began, by the engine's clock; 0 where there was none. One
            that began later may be ours, an earlier one is not.
        back: Whether it was a way back to what the service had: that it had nothing before is not
            what an empty ``before`` means then.
    """

    before: tuple[Mapping[str, Any], ...]
    index: int
    at: str
    done: str = ""
    frame: str = ""
    ill: bool = False
    started: float = 0.0
    back: bool = False

    @property
    def before_ids(self) -> frozenset[str]:
        """Ids of the secrets that going back would need; none once the roll is done."""
        return frozenset() if self.done else frozenset(ref["SecretID"] for ref in self.before)

    def write(self) -> str:
        """Write the label's value."""
        if self.done:
            return json.dumps({"at": self.at, "done": self.done})
        raw = {
            "before": list(self.before),
            "index": self.index,
            "at": self.at,
            "frame": self.frame,
            "started": self.started,
        }
        flags = {"ill": self.ill, "back": self.back}
        return json.dumps(raw | {name: True for name, is_so in flags.items() if is_so})

    @classmethod
    def read(cls, text: str) -> RollRecord | None:
        """Read the label's value; None where somebody has damaged it."""
        try:
            raw = json.loads(text)
            before = tuple(dict(ref) for ref in raw.get("before", ()))
            record = cls(
                before=before,
                index=int(raw.get("index", 0)),
                at=str(raw["at"]),
                done=str(raw.get("done", "")),
                frame=str(raw.get("frame", "")),
                ill=bool(raw.get("ill")),
                started=float(raw.get("started", 0.0)),
                back=bool(raw.get("back")),
            )
            _ = record.before_ids
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return record
