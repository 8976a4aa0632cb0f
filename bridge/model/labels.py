"""Labels of Docker secrets and configs: the memory of the bridge, which lies in the swarm.

The labels of a Docker secret say that a bridge made it and which Vault version it holds (I12); its
name is never taken for either. Those of the state config hold wishes and verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.model.identity import Identity
from bridge.model.source import Source, source_from

PREFIX = "vault-bridge."
INSTANCE = f"{PREFIX}instance"
LAYOUT = f"{PREFIX}layout"
OWN_LAYOUT = 1
"""The newest layout of labels that this bridge knows, and the one that it writes.

It is raised where an older bridge would misunderstand what a newer one writes, and act on it. What
an older one may leave unread needs no new number. A Docker secret without one is of the first.
"""

GOOD = f"{PREFIX}good"
SHAPE = f"{PREFIX}shape"
REMADE = f"{PREFIX}remade"
ASIDE = f"{PREFIX}aside"
UNUSED = f"{PREFIX}unused"
ROLL = f"{PREFIX}roll."
BLOCKED = f"{PREFIX}blocked."
REFUSED = f"{PREFIX}refused."
TROUBLE = f"{PREFIX}trouble."
LEASE = f"{PREFIX}lease"
ACCESSOR = f"{PREFIX}accessor"
ROLE = f"{PREFIX}role"
USER = f"{PREFIX}user"
RETIRING = f"{PREFIX}retiring"
ENDED = f"{PREFIX}ended"
AT_ONCE = f"{PREFIX}at_once"
TRIES = f"{PREFIX}tries"
VANISHED = f"{PREFIX}vanished"
WOKEN = f"{PREFIX}woken"
"""The one label that is written on a service: it wakes an updater that hangs on a dead node."""

_T = TypeVar("_T")


class NewerLayout(ValueError):
    """A Docker secret of our instance has labels of a layout that this bridge does not know."""


def must_know_layout(labels: Mapping[str, str], instance: str) -> None:
    """Return where the labels are none of this instance, or of a layout that is known.

    Raises:
        NewerLayout: They are of a newer one, or of one that is no number.
    """
    layout = labels.get(LAYOUT, "1")
    known = layout.isascii() and layout.isdigit() and int(layout) <= OWN_LAYOUT
    if labels.get(INSTANCE) == instance and not known:
        raise NewerLayout(
            f"its labels are of layout {layout[:9]}, written by a newer bridge, and this one knows"
            f" {OWN_LAYOUT}: update it"
        )


def read_by_name(
    labels: Mapping[str, str], prefix: str, read: Callable[[str], _T | None]
) -> dict[str, _T]:
    """Return what the labels with a prefix hold, by the rest of the label, without damaged ones."""
    found = {
        key.removeprefix(prefix): read(value)
        for key, value in labels.items()
        if key.startswith(prefix)
    }
    return {name: value for name, value in found.items() if value is not None}


def source_label(source: Source) -> str:
    """Return the value of the ``source`` label; the parts of a source may hold any character."""
    place = {"namespace": source.namespace, "mount": source.mount}
    parts = {**place, **source.label}
    return json.dumps({key: value for key, value in parts.items() if value}, ensure_ascii=False)


def read_source(text: str) -> Source:
    """Return what ``source_label`` wrote.

    Raises:
        KeyError, ValueError, TypeError: It is damaged, or of a kind that is not known here.
    """
    label: dict[str, Any] = json.loads(text)
    return source_from(label)


def labels_of(instance: str, name: str, identity: Identity) -> dict[str, str]:
    """Return the labels that a Docker secret is created with."""
    return {
        INSTANCE: instance,
        f"{PREFIX}secret": name,
        f"{PREFIX}version": str(identity.version),
        f"{PREFIX}source": source_label(identity.source),
        f"{PREFIX}created": identity.created,
        f"{PREFIX}path_created": identity.path_created,
        LAYOUT: str(OWN_LAYOUT),
    }


@dataclass(frozen=True, slots=True)
class Origin:
    """Which bridge made a Docker secret, for which secret, and of which version."""

    instance: str
    secret: str
    identity: Identity


def origin_of(labels: Mapping[str, str]) -> Origin | None:
    """Return what ``labels_of`` wrote; None where a label is missing or damaged."""
    try:
        identity = Identity(
            read_source(labels[f"{PREFIX}source"]),
            labels[f"{PREFIX}path_created"],
            int(labels[f"{PREFIX}version"]),
            labels[f"{PREFIX}created"],
        )
        _ = identity.order
        return Origin(labels[f"{PREFIX}instance"], labels[f"{PREFIX}secret"], identity)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def labels_by_service(labels: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the names of the labels about single services, by the service's id.

    These are set-aside marks, marks of blocked rolls and roll records, damaged ones too.
    """
    found: dict[str, frozenset[str]] = {}
    for label in labels:
        if label.startswith(_BY_SERVICE):
            prefix = next(prefix for prefix in _BY_SERVICE if label.startswith(prefix))
            service = label.removeprefix(prefix)
            found[service] = found.get(service, frozenset()) | {label}
    return found


_BY_SERVICE = (f"{ASIDE}.", ROLL, BLOCKED)
