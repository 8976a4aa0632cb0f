"""The leader's lease: of several bridges of one instance, the one that holds it acts.

It is the labels of a Docker config, written by compare-and-set.

1. It is held only by writes whose answer came, and only for two thirds of its time after the latest
   of them was sent. Reads prove nothing: a manager that was cut off from the others answers them
   from its last known state for some ten seconds.
2. Others take it over once they have seen it unchanged for all of its time, or at once where the
   swarm or the kernel shows that its holder has ended.
3. Each bridge counts seconds on its own clock. The clocks of two machines are never compared.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bridge.clock import boot_clock
from bridge.errors import NameTaken, OutOfSequence, SwarmError, SwarmUnreachable
from bridge.model.labels import PREFIX
from bridge.model.leadership import (
    HOLDER,
    SEEN,
    TTL,
    Holder,
    lease_config_name,
    task_has_ended,
    write_seen,
)
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import Seen
from bridge.processes import has_ended, namespace_of, this_container, this_host, this_process
from bridge.servers.swarm import Swarm

_DATA = b"the leader's lease of vault-swarm-bridge\n"
_TRIES = 3


class Lease:
    """The lease of one instance, as one bridge sees it.

    Args:
        configuration: Digest of our configuration, see ``Desired.digest``.
        ttl: Seconds, the same for all bridges of an instance.
        clock: Seconds since some moment; it must go on while the process is stopped.

    Attributes:
        other: The bridge that holds it, where it is another one.
        watch_period: Seconds in which this bridge asks for each path of Vault; written with each
            renewal. 0 while it is not known.
        mine: This bridge as it last wrote the lease; None before it did.
    """

    def __init__(
        self,
        swarm: Swarm,
        *,
        instance: str,
        configuration: str = "",
        ttl: float = TTL,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._swarm = swarm
        self._instance = instance
        self._ttl = ttl
        self._clock = clock
        me, container = this_process(), this_container()
        self._me = Holder(
            id=uuid.uuid4().hex,
            host=this_host(),
            process=me,
            configuration=configuration,
            at="",
            container=container,
        )
        self._sent: float | None = None
        self._report = ""
        self._seen: tuple[int, float] | None = None
        self.other: Holder | None = None
        self.watch_period = 0.0
        self.mine: Holder | None = None

    @property
    def agrees(self) -> bool:
        """Whether the bridge that holds it has the same configuration as this one."""
        return self.other is None or self.other.configuration == self._me.configuration

    def is_held_by(self, holder: Holder) -> bool:
        """Return whether a holder is this bridge."""
        return holder.id == self._me.id

    @property
    def pause(self) -> float:
        """Seconds after which to call ``hold`` again: to renew it in time, or to see it free."""
        if self._sent is None:
            return self._ttl / 6
        return max(self._ttl / 30, self._sent + self._ttl / 3 - self._clock())

    @property
    def lapsed(self) -> bool:
        """Whether it was ours, and its time is over without a renewal."""
        return self._sent is not None and not self._is_younger_than(self._ttl * 2 / 3)

    def hold(self) -> bool:
        """Take the lease, or renew it when a third of its time is over; returns whether it is ours.

        Raises:
            SwarmError: No usable answer came, and the lease has lapsed or was not ours.
        """
        if self._is_younger_than(self._ttl / 3):
            return True
        if self.lapsed:
            self._sent = None  # it is to be had anew, if nobody else has it
        try:
            return self._take() and self._is_younger_than(self._ttl * 2 / 3)
        except SwarmError:
            if self._is_younger_than(self._ttl * 2 / 3):
                return True
            self._sent = None
            raise

    def renew(self) -> bool:
        """Take or renew the lease now, as before each write that cannot be undone.

        Only a write counts whose answer came within a third of the lease's time, whatever was held
        before. So at least two thirds of it are left for the write that follows.

        Raises:
            SwarmError: No answer came.
        """
        for _ in range(_TRIES):
            if not self._take():
                return False
            if self._is_younger_than(self._ttl / 3):
                return True
        return False

    def _is_younger_than(self, seconds: float) -> bool:
        """Return whether the latest write that was answered was sent less than so long ago."""
        return self._sent is not None and self._clock() < self._sent + seconds

    def report(self, seen: Seen) -> None:
        """Write with the lease what of Vault cannot be used; at once where that has changed.

        Raises:
            SwarmError: No answer came; the next renewal writes it.
        """
        text = write_seen(seen) if seen else ""
        if text == self._report:
            return
        self._report = text
        if self._sent is not None:
            self._take()

    def release(self) -> None:
        """Give the lease up, if it is ours, so that another bridge can take it at once."""
        if self._sent is None:
            return
        self._sent = None
        with contextlib.suppress(SwarmError):
            config = self._swarm.config(lease_config_name(self._instance))
            holder = _holder(config)
            if config is not None and holder and self.is_held_by(holder):
                self._swarm.set_config_labels(config, self._labels())

    def _take(self) -> bool:
        """Write the lease as ours; tries again where another bridge wrote it in between."""
        for _ in range(_TRIES):
            with contextlib.suppress(OutOfSequence, NameTaken):
                return self._write()
        self._sent = None
        return False

    def _write(self) -> bool:
        """Write the lease as ours, if it is free. Raises ``OutOfSequence``, ``NameTaken``."""
        try:
            return self._written()
        except (KeyError, TypeError, ValueError, AttributeError):
            name = lease_config_name(self._instance)
            raise SwarmUnreachable(
                f"the Docker config {name}, the leader's lease, is not understood",
                hint=f"look at it with `docker config inspect {name}`; it may be removed",
            ) from None

    def _written(self) -> bool:
        sent = self._clock()
        config = self._swarm.config(lease_config_name(self._instance))
        holder = _holder(config)
        if config is not None and holder and not self._is_free(config, holder):
            self._sent, self.other = None, holder
            return False
        holding = replace(self._me, at=timestamp(time.time()), watch_period=self.watch_period)
        mine = self._labels() | {HOLDER: holding.write()}
        mine |= {SEEN: self._report} if self._report else {}
        if config is None:
            self._swarm.create_config(lease_config_name(self._instance), _DATA, mine)
        else:
            self._swarm.set_config_labels(config, mine)
        self._sent, self._seen, self.other, self.mine = sent, None, None, holding
        return True

    def _is_free(self, config: dict[str, Any], holder: Holder) -> bool:
        if self.is_held_by(holder) or has_ended(holder.process) or self._has_left(holder):
            return True
        index = int(config["Version"]["Index"])
        if self._seen is None or self._seen[0] != index:
            self._seen = index, self._clock()
        return self._clock() >= self._seen[1] + self._ttl

    def _has_left(self, holder: Holder) -> bool:
        """Return whether the container that a holder ran in is known to have ended since."""
        if not holder.container:
            return False
        if holder.container == self._me.container:
            return namespace_of(holder.process) != namespace_of(self._me.process)
        return task_has_ended(self._swarm.tasks(), holder.container)

    def _labels(self) -> dict[str, str]:
        return {f"{PREFIX}instance": self._instance}


def holder_of(swarm: Swarm, instance: str) -> Holder | None:
    """Return the bridge that holds an instance's lease, or held it last.

    Raises:
        SwarmUnreachable: The swarm gives no usable answer.
    """
    return _holder(swarm.config(lease_config_name(instance)))


def _holder(config: dict[str, Any] | None) -> Holder | None:
    return Holder.read((config or {}).get("Spec", {}).get("Labels") or {})
