"""The wishes of operators: written into the swarm, for the running bridge to carry out.

Only Docker is needed. What the swarm shows to be impossible is refused at once. The rest is decided
by the running bridge, whose answer ``follow`` waits for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from bridge.clock import Clock
from bridge.decide.cycle import decide
from bridge.decide.inferred import infer_vault
from bridge.decide.remember import remember
from bridge.decide.versions.content_change import cannot_resync
from bridge.errors import BridgeError, Exit
from bridge.model.actions import RollService
from bridge.model.desired import Desired
from bridge.model.memory import Memory
from bridge.model.mirror import Mirror
from bridge.model.near import nearest
from bridge.model.plan import Plan
from bridge.model.reasons import Reason, State
from bridge.model.set_aside import By
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.model.until import Until
from bridge.model.wishes import APPROVED, WISH, Approval, Do, Pause, Wish, pause_label
from bridge.model.world import World
from bridge.observe_swarm import look_at_swarm
from bridge.servers.state_config import write_state
from bridge.servers.swarm import Swarm

LOOK = 0.5
"""Seconds between two looks while a wish is followed."""


class NoSuchSecret(BridgeError):
    """The name is neither in the configuration nor mirrored."""

    exit_code = Exit.USAGE


class WishRefused(BridgeError):
    """An operator asked for something that cannot be done."""

    exit_code = Exit.HELD


class NotFollowed(BridgeError):
    """No bridge has carried the wish out in time. It stays in the swarm and may still be."""

    exit_code = Exit.HELD


class Operator:
    """Writes wishes.

    Args:
        by: The account that asks, which the evidence names.
        clock: Seconds since the epoch, from a clock that is not set while it runs.
    """

    def __init__(
        self,
        swarm: Swarm,
        desired: Desired,
        *,
        by: str = "",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._swarm = swarm
        self._desired = desired
        self._by = by
        self._clock = clock or Clock()

    def pause(self, name: str, why: str) -> str:
        """Hold the rolls of a secret, or of all where no name is given."""
        if name:
            self._known(self._look(), name)
        self._write({pause_label(name): Pause(timestamp(self._clock()), why, self._by).write()})
        return f"The rolls of {name or 'all secrets'} are held until `vault-bridge resume`."

    def resume(self, name: str, why: str) -> str:
        """End a pause, and what an operator set aside; of all secrets where no name is given."""
        now = timestamp(self._clock())
        names = [name] if name else [secret.name for secret in self._desired.secrets]
        view = self._look()
        own = {n: self._known(view, n) for n in names}
        marked = [n for n, mirrors in own.items() if any(m.asides for m in mirrors)]
        wish = Wish(do=Do.RESUME, at=now, why=why, by=self._by).write()
        wishes = {f"{WISH}{n}": wish for n in marked}
        pauses = [pause_label(n) for n in ([name] if name else view.pauses)]
        self._write(wishes, pauses)
        return f"The rolls of {name or 'all secrets'} go on."

    def rollback(self, name: str, to: int | None, why: str) -> str:
        """Let services go back to a version, by default the one before, and stay there.

        Raises:
            WishRefused: There is no such version in the swarm.
        """
        own = self._known(self._look(), name)
        usable = [mirror for mirror in own if "" not in mirror.asides]
        secret = ""
        if to is None:
            if len(usable) <= 1:
                raise WishRefused(f"there is no version of {name} before the one in use")
            to, secret = usable[1].identity.version, usable[1].docker_name
        elif all(mirror.identity.version != to for mirror in own):
            there = ", ".join(f"v{mirror.identity.version}" for mirror in own) or "none"
            raise WishRefused(f"version {to} of {name} is not mirrored; there are: {there}")
        if any(m.identity.version == to and m.leased and m.leased.over for m in own):
            raise WishRefused(
                f"{Reason.CREDENTIAL_ENDED}: the credential of generation {to} of {name} is over",
                hint=f"`vault-bridge rotate {name}` makes a new credential",
            )
        now = timestamp(self._clock())
        wish = Wish(do=Do.ROLLBACK, at=now, why=why, to=to, secret=secret, by=self._by)
        self._write({f"{WISH}{name}": wish.write()})
        return f"Services are to go back to version {to} of {name} and stay there."

    def retry(self, name: str, why: str) -> str:
        """Let versions that were set aside for a failure be tried again, and blocked rolls at once.

        Raises:
            WishRefused: None is set aside, and no roll is blocked.
        """
        own = self._known(self._look(), name)
        marks = (mark for mirror in own for mark in mirror.asides.values())
        failed = any(mark.by not in (By.OPERATOR, By.RESTORE) for mark in marks)
        if not failed and not any(mirror.blocks for mirror in own):
            raise WishRefused(f"no version of {name} is set aside for having failed")
        self._wish(name, Do.RETRY, why)
        return f"What failed of {name} is to be tried again."

    def rotate(self, name: str, why: str, *, at_once: bool, first: bool) -> str:
        """Ask for a new generation of a leased credential.

        Args:
            at_once: End the former one without grace.
            first: End it before services are rolled: a leak is worse than an outage.

        Raises:
            WishRefused: It is not a leased credential.
        """
        own = self._known(self._look(), name)
        secret = next((secret for secret in self._desired.secrets if secret.name == name), None)
        if secret is None or not secret.leased:
            raise WishRefused(
                f"{name} is not a leased credential",
                hint="write a new version to its path in Vault: that is its rotation",
            )
        newest = own[0].identity.version if own else 0
        wish = Wish(
            do=Do.ROTATE,
            at=timestamp(self._clock()),
            why=why,
            to=newest,
            at_once=at_once or first,
            first=first,
            by=self._by,
        )
        self._write({f"{WISH}{name}": wish.write()})
        former = f"; generation {newest} is ended first" if first and newest else ""
        return f"A new generation of {name} is to be made{former}."

    def resync(self, name: str, why: str) -> str:
        """Ask for the current version to be made anew as the configuration is now.

        Raises:
            WishRefused: It is a leased credential, or no longer in the configuration.
        """
        self._known(self._look(), name)
        secret = next((secret for secret in self._desired.secrets if secret.name == name), None)
        if secret is None:
            raise WishRefused(f"{name} is not in the configuration")
        never = cannot_resync(secret)
        if never:
            raise WishRefused(never)
        now, shape = timestamp(self._clock()), secret.content.shape
        wish = Wish(do=Do.RESYNC, at=now, why=why, shape=shape, by=self._by)
        self._write({f"{WISH}{name}": wish.write()})
        return f"The current version of {name} is to be made anew as the configuration is now."

    def approve(self, name: str, why: str) -> str:
        """Let the newest version be rolled though it touches more services than ``limits`` allow.

        Raises:
            WishRefused: Nothing waits for that.
        """
        newest = next((m for m in self._known(self._look(), name) if "" not in m.asides), None)
        if self._desired.max_services is None:
            raise WishRefused("nothing waits for approval: there is no `limits.max_services`")
        if newest is None or newest.good or newest.records:
            raise WishRefused(f"no version of {name} waits for approval")
        identity = newest.identity
        now = timestamp(self._clock())
        approval = Approval(identity.version, identity.created, now, why, self._by)
        self._write({f"{APPROVED}{name}": approval.write()})
        return f"Version {identity.version} of {name} may be rolled."

    def forget(self, name: str, why: str) -> str:
        """Let go of a secret that is no longer in the configuration.

        Raises:
            WishRefused: It is in the configuration.
        """
        if any(secret.name == name for secret in self._desired.secrets):
            raise WishRefused(f"{name} is in the configuration: take it out there first")
        self._known(self._look(), name)
        self._wish(name, Do.FORGET, why)
        return f"The versions of {name} are to go as soon as nothing refers to them."

    def follow(
        self,
        name: str,
        timeout: float,
        *,
        until: Until = Until.ROLLED,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Wait until a wish was carried out and the services have come to rest.

        Args:
            until: ``ENDED`` waits until the former credentials are over, too.
            tell: Called with a sentence on what it waits for, each time that this changes.

        Raises:
            WishRefused: The bridge refused it.
            NotFollowed: It was not carried out in time.
        """
        end = self._clock() + timeout
        memory = Memory()
        told = ""
        while self._clock() < end:
            view = self._look()
            wish = view.wishes.get(name)
            if wish and wish.refused:
                raise WishRefused(f"{wish.do} of {name}: {wish.refused}")
            now = self._clock()
            world = World(infer_vault(self._desired, view, now), view)
            plan = decide(self._desired, world, memory, now)
            waiting = _awaited(name, wish, plan) or (
                self._unended(view, name) if until == Until.ENDED else ""
            )
            if not waiting:
                return
            if waiting != told:
                tell(f"Waiting for {waiting}.")
            told = waiting
            memory = remember(self._desired, memory, world, (), now)
            time.sleep(LOOK)
        raise NotFollowed(
            f"{name} has not come to rest in {timeout:g} s; it waits for {told or 'the swarm'}",
            hint="does `vault-bridge run` run? `vault-bridge status` has the reason",
        )

    def _unended(self, view: SwarmView, name: str) -> str:
        """Return in words which former credentials are not over yet; empty where all are."""
        own = [m for m in view.mirrors_of(self._desired.instance, name) if m.leased]
        last = next((m for m in own if m.good and m.leased and not m.leased.over), None)
        if last is None:
            return "a generation that is good" if own else ""
        alive = [m for m in own if m.leased and not m.leased.ended and m.id != last.id]
        versions = ", ".join(f"v{mirror.identity.version}" for mirror in reversed(alive))
        return f"the end of the former credential ({versions})" if alive else ""

    # --- the swarm -------------------------------------------------------------------------------

    def _look(self) -> SwarmView:
        return look_at_swarm(self._swarm, self._desired.instance, self._clock())

    def _known(self, view: SwarmView, name: str) -> list[Mirror]:
        """Return the mirrored versions of a secret, newest first. Raises ``NoSuchSecret``."""
        configured = next((s for s in self._desired.secrets if s.name == name), None)
        own = [
            mirror
            for mirror in view.mirrors_of(self._desired.instance, name)
            if configured is None or mirror.identity.source == configured.source
        ]
        if configured is None and not own:
            known = [secret.name for secret in self._desired.secrets]
            close = nearest(re.sub(r"_v\d+$", "", name), known)
            meant = f"did you mean {close}? " if close else ""
            listed = ", ".join(known) or "none"
            raise NoSuchSecret(f"there is no secret {name}", hint=f"{meant}known are: {listed}")
        return own

    def _wish(self, name: str, do: Do, why: str, to: int | None = None) -> None:
        wish = Wish(do=do, at=timestamp(self._clock()), why=why, to=to, by=self._by)
        self._write({f"{WISH}{name}": wish.write()})

    def _write(self, put: dict[str, str], drop: list[str] | None = None) -> None:
        write_state(self._swarm, self._desired.instance, put, dict.fromkeys(drop or []))


def _awaited(name: str, wish: Wish | None, plan: Plan) -> str:
    """Return in words what a wish waits for; empty once it was carried out and services rest."""
    if wish is not None:
        return f"the bridge to carry out `{wish.do}`"
    moving = [
        service.name
        for condition in plan.conditions
        for service in condition.services
        if condition.name == name and service.state == State.ROLLING
    ]
    if moving:
        return f"services: {', '.join(moving)}"
    return "services to come to rest" if plan.rolling or _rolls(plan) else ""


def _rolls(plan: Plan) -> bool:
    return any(isinstance(action, RollService) for chain in plan.chains for action in chain)
