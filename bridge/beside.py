"""Plans beside a bridge that runs here, by what that one knows of Vault.

It watches Vault anyhow, so a command need not log in, and ask for each path, once more. Its view
holds where it asks the same Vault for all that the command's configuration is made from; the rest
of the two configurations may differ. What it does not watch, as an entry that was just written, is
asked for by the command.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridge import __version__
from bridge.cadence import SECOND_LOOK
from bridge.decide.cycle import decide
from bridge.decide.remember import remember
from bridge.health_socket import ask_view
from bridge.model.labels import read_source, source_label
from bridge.model.memory import Memory
from bridge.model.plan import Plan
from bridge.model.told import Told, read_view, write_view
from bridge.model.vault_view import VaultView
from bridge.model.world import World
from bridge.observe_swarm import look_at_swarm
from bridge.servers.swarm import Swarm

if TYPE_CHECKING:
    from bridge.config import Configuration
    from bridge.loop import Loop
    from bridge.model.settings import VaultSettings
    from bridge.model.source import Source

PATIENCE = 2.0
"""Seconds of requests to Vault that a command waits for without being told to."""


def tell(loop: Loop, settings: VaultSettings, again: Sequence[str]) -> dict[str, Any] | None:
    """Return what a running bridge knows of Vault for ``ask_view``; None while it knows nothing.

    Args:
        again: Labels of sources that are to be asked for anew.
    """
    view = loop.told(PATIENCE, [read_source(label) for label in again])
    return None if view is None else {**_place(settings), "view": write_view(view)}


Ask = Callable[[Sequence["Source"]], VaultView]
"""Asks Vault for some paths."""


def plan_beside(configuration: Configuration, ask: Ask) -> tuple[World, Plan, Told] | None:
    """Plan by what the bridge that runs here knows of Vault.

    Args:
        ask: Asks Vault for what that bridge does not watch.

    Returns:
        None where no bridge runs here that watches this Vault, or its view is of no use.

    Raises:
        SwarmError: The swarm gives no usable answer.
    """
    desired, memory = configuration.desired, Memory()
    seen = _look(configuration, ask)
    if seen is None:
        return None
    with closing(Swarm(configuration.settings.docker)) as swarm:
        view = look_at_swarm(swarm, desired.instance, time.time())
        world = World(seen.view, view)
        planned = decide(desired, world, memory, time.time())
        if planned.doubtful:
            # As a cycle does: what seems to be gone is looked at twice.
            memory = remember(desired, memory, world, (), time.time())
            time.sleep(SECOND_LOOK)
            doubtful = [s.source for s in desired.secrets if s.name in planned.doubtful]
            seen = _look(configuration, ask, doubtful) or seen
            world = World(seen.view, look_at_swarm(swarm, desired.instance, time.time()))
            planned = decide(desired, world, memory, time.time())
    return world, planned, seen


def _look(configuration: Configuration, ask: Ask, again: Sequence[Source] = ()) -> Told | None:
    """Ask the bridge that runs here, and Vault for the rest; None where it is of no use.

    Args:
        again: What that bridge is to ask Vault for anew, even where it would not ask for all.
    """
    settings, sources = configuration.settings.vault, configuration.desired.sources
    told = ask_view(configuration.desired.instance, [source_label(source) for source in again])
    if not isinstance(told, dict) or any(
        told.get(key) != value for key, value in _place(settings).items()
    ):
        return None
    try:
        view = read_view(told["view"])
    except (KeyError, ValueError, TypeError):
        return None
    lacking = [source for source in sources if source not in view.paths]
    if len(lacking) > PATIENCE * settings.max_rps or len(lacking) == len(sources):
        return None
    if lacking:
        own = ask(lacking)
        view = replace(view, paths={**view.paths, **own.paths}, asked={**view.asked, **own.asked})
    return Told(_only(view, sources), len(lacking))


def _place(settings: VaultSettings) -> dict[str, str]:
    """Return what must be the same for a view to hold."""
    namespace = settings.namespace
    return {"version": __version__, "address": settings.address, "namespace": namespace}


def _only(view: VaultView, sources: Sequence[Source]) -> VaultView:
    """Return the part of a view that is about these."""
    return replace(
        view,
        paths={source: view.paths[source] for source in sources},
        asked={source: at for source in sources if (at := view.asked.get(source)) is not None},
    )
