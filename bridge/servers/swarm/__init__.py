"""The swarm manager's engine, spoken to in its own words.

``calls`` are what the bridge asks and writes, ``connection`` sends it at the engine's own API
version and is the one importer of the docker SDK, ``ssh`` reaches an engine through the ssh client.
"""

from bridge.servers.swarm.calls import Swarm

__all__ = ["Swarm"]
