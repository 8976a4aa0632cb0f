"""All that the bridge asks of the engine.

Its calls are made from this list, and so are the rules of a proxy that lets nothing else through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from bridge.model.labels import PREFIX

VERSION_PREFIX = r"/v1\.[0-9]+"
"""What every path begins with, but for the question for the version."""

_PARTS = {"id": "[a-z0-9]{25}", "image": r"(?!.*\.\.)(%(2F|3A|40)|[A-Za-z0-9._-])+"}
"""Ids of Swarm's objects are whole ones: the engine would take names and beginnings of ids too."""


@dataclass(frozen=True, slots=True)
class Right:
    """One call of the engine's API.

    Attributes:
        path: Without the API version; ``{id}`` and ``{image}`` are its parts.
        why: What the bridge cannot do without it.
        query: The query, encoded, as a regular expression; empty where there is none. It is in
            brackets with a question mark where the call is also sent without it.
        optional: Whether the running bridge never needs it.
    """

    method: str
    path: str
    why: str
    query: str = ""
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def place(self, parts: Mapping[str, str]) -> str:
        """Return the path with its parts filled in."""
        return self.path.format(**{key: quote(part, safe="") for key, part in parts.items()})

    @property
    def pattern(self) -> str:
        """Return the regular expression of whole paths with their query.

        The query is whole as well: with a name that is encoded otherwise, or given twice, the
        engine might take another value than a proxy has looked at.
        """
        prefix = f"({VERSION_PREFIX})?" if self.path == VERSION.path else VERSION_PREFIX
        query = rf"\?{self.query}" if self.query else ""
        if query.endswith(")?"):
            query = rf"(\?{self.query.removesuffix('?')})?"
        return f"^{prefix}{self.path.format(**_PARTS)}{query}$"


def config_filters(name: str) -> str:
    """Return the ``filters`` that find the Docker config of a name."""
    return json.dumps({"name": [name]})


def id_filters(key: str, ids: Iterable[str]) -> str:
    """Return the ``filters`` that find objects by whole ids; the engine takes beginnings too."""
    return json.dumps({key: sorted(ids)})


def event_filters() -> str:
    """Return the ``filters`` of the events that the bridge listens to."""
    return json.dumps({"type": ["service", "secret", "node", "config"]})


def _filters(text: str) -> str:
    """Return the regular expression of a query with exactly these filters."""
    escaped = re.sub(r"([+.])", r"\\\1", quote_plus(text))
    return f"filters={escaped}"


_NAME = "NAME"
_OWN_CONFIGS = _filters(config_filters(f"{PREFIX}{_NAME}")).replace(_NAME, "[a-zA-Z0-9_.-]+")
_INDEX = "version=[0-9]+"
_ID = "z" * 25


def _by_ids(key: str) -> str:
    """Return the regular expression of a query that finds objects by their ids."""
    one = "%22" + _PARTS["id"] + "%22"
    some = rf"{one}(%2C\+{one})*"
    return _filters(id_filters(key, [_ID])).replace(f"%22{_ID}%22", some)


VERSION = Right("GET", "/version", "speak to the engine at its own API version")
SERVICES = Right(
    "GET", "/services", "see which services use which version", f"({_by_ids('id')}&)?status=true"
)
SERVICE = Right("GET", "/services/{id}", "read the spec that an update repeats")
UPDATE_SERVICE = Right("POST", "/services/{id}/update", "roll a service to another version", _INDEX)
TASKS = Right(
    "GET",
    "/tasks",
    "see that tasks run, and which version each has",
    f"({_by_ids('service')})?",
)
NODES = Right("GET", "/nodes", "tell the tasks of a node that is down from those that run")
SECRETS = Right("GET", "/secrets", "see which versions there are; never what they hold")
SECRET = Right("GET", "/secrets/{id}", "read the labels that a write of labels repeats")
CREATE_SECRET = Right("POST", "/secrets/create", "mirror a version")
LABEL_SECRET = Right(
    "POST", "/secrets/{id}/update", "write labels; compare what a Docker secret holds", _INDEX
)
REMOVE_SECRET = Right("DELETE", "/secrets/{id}", "prune a version that nothing can need")
CONFIGS = Right(
    "GET", "/configs", "find its own state and the leader's lease, and no other", _OWN_CONFIGS
)
CREATE_CONFIG = Right("POST", "/configs/create", "make its state and the leader's lease")
LABEL_CONFIG = Right("POST", "/configs/{id}/update", "lead, and keep wishes and verdicts", _INDEX)
EVENTS = Right(
    "GET", "/events", "act at once on what happens in the swarm", _filters(event_filters())
)
INFO = Right("GET", "/info", "let `check` see that the engine is a manager", optional=True)
SWARM = Right(
    "GET",
    "/swarm",
    "let `check` see whether managers lock their keys; the answer has the tokens that let machines"
    " join as managers",
    optional=True,
)
IMAGE = Right(
    "GET", "/images/{image}/json", "let `check` see the health checks of images", optional=True
)

RIGHTS = (
    VERSION,
    *(SERVICES, SERVICE, UPDATE_SERVICE, TASKS, NODES),
    *(SECRETS, SECRET, CREATE_SECRET, LABEL_SECRET, REMOVE_SECRET),
    *(CONFIGS, CREATE_CONFIG, LABEL_CONFIG, EVENTS),
    *(INFO, SWARM, IMAGE),
)
