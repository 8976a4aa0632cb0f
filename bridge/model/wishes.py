"""Wishes: what operators want, as labels of the state config, which commands write.

Each is a state to be reached and no order, so that writing it twice is as once. A pause stays until
``resume`` removes it. Any other wish is removed once it is carried out; one that is refused stays
with the reason, until another wish takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.model.identity import Identity
from bridge.model.labels import PREFIX, read_by_name

PAUSE = f"{PREFIX}pause"
WISH = f"{PREFIX}wish."
APPROVED = f"{PREFIX}approved."
FIELDS = f"{PREFIX}fields."


class Do(StrEnum):
    """The command that a wish for one secret comes from."""

    ROLLBACK = "rollback"
    RESUME = "resume"
    RETRY = "retry"
    FORGET = "forget"
    ROTATE = "rotate"
    RESYNC = "resync"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What an operator wants for one secret.

    Attributes:
        at: When it was written, RFC 3339.
        why: The operator's own words.
        to: For ``rollback``: the version to go back to. For ``rotate``: the generation to replace.
            It is fixed when the wish is written, so that carrying it out twice is as once.
        refused: Why it cannot be carried out; empty while it can.
        at_once: For ``rotate``: whether the former generation ends without grace.
        first: For ``rotate``: whether it ends before services are rolled, and not after.
        secret: For ``rollback``: name of the Docker secret to go back to, where there are several
            copies of the version.
        shape: For ``resync``: the shape in the configuration of the command, see
            ``Content.shape``.
        by: The account that ran the command, by its own word; empty where it is not known.
    """

    do: Do
    at: str
    why: str = ""
    to: int | None = None
    refused: str = ""
    at_once: bool = False
    first: bool = False
    secret: str = ""
    shape: str = ""
    by: str = ""

    def write(self) -> str:
        """Return the label's value."""
        raw = {"do": self.do, "at": self.at, "why": self.why, "to": self.to}
        more = {"refused": self.refused, "at_once": self.at_once, "first": self.first}
        more |= {"secret": self.secret, "shape": self.shape, "by": self.by}
        return json.dumps({**raw, **{key: value for key, value in more.items() if value}})

    @classmethod
    def read(cls, text: str) -> Wish | None:
        """Return the wish in a label's value; None where it is damaged."""
        try:
            raw = json.loads(text)
            to = raw.get("to")
            return cls(
                do=Do(raw["do"]),
                at=str(raw["at"]),
                why=str(raw.get("why", "")),
                to=None if to is None else int(to),
                refused=str(raw.get("refused", "")),
                at_once=bool(raw.get("at_once")),
                first=bool(raw.get("first")),
                secret=str(raw.get("secret", "")),
                shape=str(raw.get("shape", "")),
                by=str(raw.get("by", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause: no service is rolled, for one secret or for all.

    Attributes:
        at: When it was written, RFC 3339.
        why: The operator's own words.
        by: As for ``Wish``.
    """

    at: str
    why: str = ""
    by: str = ""

    @property
    def text(self) -> str:
        """One line that describes the pause."""
        return f"paused since {self.at}" + (f": {self.why}" if self.why else "")

    def write(self) -> str:
        """Return the label's value."""
        return json.dumps({"at": self.at, "why": self.why} | _by(self.by))

    @classmethod
    def read(cls, text: str) -> Pause:
        """Return the pause in a label's value; a damaged one pauses too."""
        try:
            raw = json.loads(text)
            return cls(str(raw["at"]), str(raw.get("why", "")), str(raw.get("by", "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls("", "its label cannot be read")


@dataclass(frozen=True, slots=True)
class Approval:
    """An operator's approval to roll a version to more services than ``limits`` allow.

    Attributes:
        version, created: Number of the version, and Vault's ``created_time`` of it.
        at: When it was written, RFC 3339.
        why: The operator's own words.
        by: As for ``Wish``.
    """

    version: int
    created: str
    at: str
    why: str = ""
    by: str = ""

    def covers(self, identity: Identity) -> bool:
        """Return whether it is for this version."""
        return (self.version, self.created) == (identity.version, identity.created)

    def write(self) -> str:
        """Return the label's value."""
        raw = {"version": self.version, "created": self.created, "at": self.at, "why": self.why}
        return json.dumps(raw | _by(self.by))

    @classmethod
    def read(cls, text: str) -> Approval | None:
        """Return the approval in a label's value; None where it is damaged: it approves nothing."""
        try:
            raw = json.loads(text)
            texts = (str(raw[key]) for key in ("created", "at", "why"))
            created, at, why = texts
            return cls(int(raw["version"]), created, at, why, str(raw.get("by", "")))
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class FieldsWish:
    """An operator wants changed file fields applied now, and not with the next roll.

    Attributes:
        at: When it was written, RFC 3339.
        refused: Why it is not carried out any further; empty while it is.
    """

    at: str
    refused: str = ""

    def write(self) -> str:
        """Return the label's value."""
        return json.dumps({"at": self.at} | ({"refused": self.refused} if self.refused else {}))

    @classmethod
    def read(cls, text: str) -> FieldsWish | None:
        """Return the wish in a label's value; None where it is damaged."""
        try:
            raw = json.loads(text)
            return cls(str(raw["at"]), str(raw.get("refused", "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _by(name: str) -> dict[str, str]:
    return {"by": name} if name else {}


def pause_label(name: str = "") -> str:
    """Return the label of a pause, of one secret or of all."""
    return f"{PAUSE}.{name}" if name else PAUSE


def pause_of(pauses: Mapping[str, Pause], name: str) -> Pause | None:
    """Return the pause that holds a secret: the one for all, or its own."""
    return pauses.get("") or pauses.get(name)


def read_wishes(labels: Mapping[str, str]) -> dict[str, Wish]:
    """Return all wishes, by secret's name."""
    return read_by_name(labels, WISH, Wish.read)


def read_pauses(labels: Mapping[str, str]) -> dict[str, Pause]:
    """Return all pauses, by secret's name; the empty name is for all."""
    return {
        key.removeprefix(PAUSE).removeprefix("."): Pause.read(value)
        for key, value in labels.items()
        if key == PAUSE or key.startswith(f"{PAUSE}.")
    }


def read_fields(labels: Mapping[str, str]) -> dict[str, FieldsWish]:
    """Return the requests to apply changed file fields at once, by secret's name."""
    return read_by_name(labels, FIELDS, FieldsWish.read)


def read_approvals(labels: Mapping[str, str]) -> dict[str, Approval]:
    """Return all approvals, by secret's name."""
    return read_by_name(labels, APPROVED, Approval.read)
