"""The head of the evidence's chain, which the swarm keeps: it outlives files and bridges.

It is a label of the state config. A file whose end was cut, or one that was copied back, ends
before it; a bridge that starts goes on from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bridge.model.labels import PREFIX

AUDIT = f"{PREFIX}audit"

START = "0" * 64
"""The hash that the first record of a chain names as that of the record before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditHead:
    """The last record of the evidence, by what the bridge that leads wrote into the swarm.

    Attributes:
        seq: Number of the record, counted from 1; 0 where there is none.
        hash: Its hash, 64 hexadecimal digits.
        at: When it was made, RFC 3339.
        bridge: Host of the bridge that made it.
        signed: Number of the last record that a signature covers; 0 for none.
        trouble: Why records cannot be written; empty where they can.
        holds: Whether nothing is done while that is so (``audit.on_failure: hold``).
    """

    seq: int = 0
    hash: str = START
    at: str = ""
    bridge: str = ""
    signed: int = 0
    trouble: str = ""
    holds: bool = False

    def write(self) -> str:
        """Return the label's value."""
        raw = {"seq": self.seq, "hash": self.hash, "at": self.at, "bridge": self.bridge}
        more = {"signed": self.signed, "trouble": self.trouble, "holds": self.holds}
        return json.dumps(raw | {key: value for key, value in more.items() if value})

    @classmethod
    def read(cls, text: str) -> AuditHead | None:
        """Return the head in a label's value; None where it is damaged."""
        try:
            raw = json.loads(text)
            return cls(
                seq=int(raw["seq"]),
                hash=str(raw["hash"]),
                at=str(raw.get("at", "")),
                bridge=str(raw.get("bridge", "")),
                signed=int(raw.get("signed", 0)),
                trouble=str(raw.get("trouble", "")),
                holds=bool(raw.get("holds")),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
