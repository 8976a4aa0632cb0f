"""Labels of a Docker secret, written by compare-and-set."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridge.errors import OutOfSequence
from bridge.servers.swarm import Swarm


def write_labels(
    swarm: Swarm,
    secret_id: str,
    put: Mapping[str, str],
    drop: Collection[str] = (),
    *,
    tries: int = 3,
) -> None:
    """Write labels of a Docker secret; others write other labels of the same one.

    Args:
        tries: How often it is tried where others write it at the same moment.

    Raises:
        OutOfSequence: Others write it all the time.
        SwarmError: As every write to the swarm.
    """
    for attempt in range(tries):
        raw = swarm.secret(secret_id)
        labels = dict(raw["Spec"].get("Labels") or {})
        wanted = {key: value for key, value in {**labels, **put}.items() if key not in drop}
        if wanted == labels:
            return
        try:
            swarm.set_secret_labels(secret_id, raw["Version"]["Index"], raw["Spec"]["Name"], wanted)
        except OutOfSequence:
            if attempt == tries - 1:
                raise
        else:
            return
