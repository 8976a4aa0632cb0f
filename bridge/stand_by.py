"""What a bridge does while another one leads: it makes sure that it could lead.

It logs in at Vault once, and keeps that login. So it takes over at once; and where it was started
with a credential that Vault refuses, that is known before the bridge is gone that has a good one.

Such a bridge is *unfit* while its own service is being updated: then a restart helps, since the
engine or the bridge that leads goes back to the former credential. At any other time it waits, as
one that leads does: each restart would be one more refused login, and Vault locks a role out after
five of them.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from bridge.errors import LoginRefused, SwarmError, VaultError
from bridge.logs import logger, where
from bridge.model.events import Event
from bridge.processes import this_container
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault


class StandBy:
    """The login of a bridge that does not lead.

    Requests to Vault are sent in a thread of its own, so that a Vault that hangs keeps no bridge
    from taking the lead.

    Args:
        container: Id of the container that it runs in; empty where it runs in none.
    """

    def __init__(self, vault: Vault, swarm: Swarm, container: str | None = None) -> None:
        self._vault = vault
        self._swarm = swarm
        self._container = this_container() if container is None else container
        self._thread: threading.Thread | None = None
        self._refusal = ""

    def look(self) -> str:
        """Go on with the login; returns why this bridge is unfit, and empty where it is not."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._log_in, daemon=True)
            self._thread.start()
        if not self._refusal or not self._is_being_updated():
            return ""
        return f"it was started with a credential that cannot be used: {self._refusal}"

    def _log_in(self) -> None:
        try:
            self._vault.warm_up()
            self._refusal = ""
        except LoginRefused as error:
            if not self._refusal:
                logger().warning(Event.LOGIN_REFUSED, message=str(error))
                self._refusal = str(error)
        except VaultError:
            pass  # it is tried again, and says nothing of the credential
        except Exception as error:  # noqa: BLE001 - the bridge stands by whatever happens
            logger().error(Event.VAULT_WATCH_FAILED, error=where(error))

    def _is_being_updated(self) -> bool:
        """Return whether the engine is at an update of the service that this bridge is a task of.

        While no usable answer comes, it is not known to be.
        """
        if not self._container:
            return False
        with suppress(SwarmError, KeyError, TypeError, AttributeError):
            own = next((task for task in self._swarm.tasks() if self._is_in(task)), None)
            if own:
                status = self._swarm.service(own["ServiceID"]).get("UpdateStatus") or {}
                return bool(status.get("State") == "updating")
        return False

    def _is_in(self, task: dict[str, Any]) -> bool:
        container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
        return bool(container == self._container)
