"""The state config: one Docker config of an instance, whose labels hold wishes and verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.errors import NameTaken, OutOfSequence
from bridge.model.labels import PREFIX, TROUBLE
from bridge.model.names import state_config_name
from bridge.model.verdicts import Refusal
from bridge.servers.swarm import Swarm

_TRIES = 5
_DATA = b"wishes and verdicts of vault-swarm-bridge\n"


def write_refusals(
    swarm: Swarm, instance: str, known: Mapping[str, Refusal], wanted: Mapping[str, Refusal]
) -> None:
    """Let the state config show what is in trouble, in one write; nothing where it shows that.

    Raises:
        SwarmError: As every write to the swarm.
    """
    put = {f"{TROUBLE}{n}": t.write() for n, t in wanted.items() if known.get(n) != t}
    drop = {f"{TROUBLE}{n}": None for n in known.keys() - wanted.keys()}
    if put or drop:
        write_state(swarm, instance, put, drop)


def write_state(
    swarm: Swarm, instance: str, put: Mapping[str, str], drop: Mapping[str, str | None]
) -> bool:
    """Write labels of the state config by compare-and-set; it is made where it is not there.

    Returns whether anything was written: it may have been as wanted, or not as thought.

    Args:
        drop: Labels to remove; those with a value only where they still have it.

    Raises:
        OutOfSequence: Others write it all the time.
        SwarmError: As every write to the swarm.
    """
    for attempt in range(_TRIES):
        config = swarm.config(state_config_name(instance))
        labels = dict(((config or {}).get("Spec") or {}).get("Labels") or {})
        wanted = {
            key: value
            for key, value in labels.items()
            if key not in drop or drop[key] not in (None, value)
        }
        wanted |= {f"{PREFIX}instance": instance, **put}
        if config is not None and wanted == labels:
            return False
        try:
            if config is None:
                swarm.create_config(state_config_name(instance), _DATA, wanted)
            else:
                swarm.set_config_labels(config, wanted)
        except (OutOfSequence, NameTaken):
            if attempt == _TRIES - 1:
                raise
        else:
            return True
    return False
