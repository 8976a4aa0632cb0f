"""Makes, keeps and ends leased credentials. What Vault cannot undo is done by the leader only.

Each write that cannot be undone has three steps, in this order:

1. *Look*: the swarm is looked at again, and Vault where that matters. Both may take long.
2. *Fence*: the leader's lease is renewed by a compare-and-set write, whose answer must come.
3. *Write*: at once, with nothing in between.

So a bridge that was stopped or slowed down in its look writes nothing once another one leads.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from bridge.decide.credentials.end import is_shared
from bridge.errors import (
    AnswerLost,
    BridgeError,
    Cancelled,
    ContentRefused,
    NameTaken,
    VaultRefused,
)
from bridge.model.actions import MintGeneration, Tend, TendGeneration
from bridge.model.content.payload import render
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import RETIRING, Origin, labels_of, origin_of
from bridge.model.leased import Leased, custody_meta, user_label
from bridge.model.memory import Outcome, Result
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.servers.swarm import Swarm
from bridge.servers.vault import Vault
from bridge.sources.kind import NewCredential, Prepared
from bridge.sources.kinds import kind_of

_Write = Callable[[], object]

_NOT_SURE = "the leader's lease could not be renewed, so another bridge may lead"
_NOT_OURS = "it is gone, or its lease is not ours to touch"
_NOT_MARKED = "it is not marked to be ended"
_USED = "something uses it again"


class Custodian:
    """Makes, keeps and ends generations.

    Args:
        look: Looks at the swarm anew.
        fence: Renews the leader's lease; returns whether that was acknowledged.
        whole: Gives a block that was begun some seconds to end in, although the bridge is to stop.
    """

    def __init__(
        self,
        vault: Vault,
        swarm: Swarm,
        *,
        instance: str,
        look: Callable[[], SwarmView],
        fence: Callable[[], bool],
        whole: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._vault = vault
        self._swarm = swarm
        self._instance = instance
        self._look = look
        self._fence = fence
        self._whole = whole

    # --- a new generation ------------------------------------------------------------------------

    def mint(self, action: MintGeneration) -> Outcome:
        """Make a credential and create the Docker secret that holds it: the create commits it.

        Until then its custody is provisional, so a credential that is lost on the way ends by
        itself. Where the answer to the create is lost, so does this one, unless the next look finds
        the Docker secret.
        """
        own = self._look().mirrors_of(self._instance, action.secret)
        if any(mirror.identity.version >= action.version for mirror in own):
            return Outcome(action, Result.MOVED, "there is a newer generation already")
        prepared = kind_of(action.source).prepare(
            self._vault,
            action,
            custody_meta(self._instance, action.secret),
            lambda role: self._in_use(action.secret, role),
        )
        if isinstance(prepared, str):
            return Outcome(action, Result.MOVED, prepared)
        if prepared.lasting and not self._fence():
            return Outcome(action, Result.MOVED, _NOT_SURE)
        with self._whole():
            return self._make(action, prepared)

    def _make(self, action: MintGeneration, prepared: Prepared) -> Outcome:
        """Have Vault make the credential, and commit it; let it go where that fails."""
        made = prepared.make()
        try:
            outcome = self._commit(action, made)
        except (AnswerLost, Cancelled):
            raise  # the Docker secret may have been created, and then needs the credential
        except (BridgeError, KeyError, ValueError, TypeError):
            made.let_go()
            raise
        if outcome.result != Result.DONE:
            made.let_go()
        return outcome

    def _in_use(
        self, secret: str, role: str, absent: frozenset[str] = frozenset(), but: str = ""
    ) -> bool:
        """Look at the swarm; return whether anything uses a generation of a static role."""
        view = self._look()
        own = view.mirrors_of(self._instance, secret)
        of_role = (m for m in own if m.leased and m.leased.role == role and m.id != but)
        return any(view.is_used(mirror.id, absent) for mirror in of_role)

    def _commit(self, action: MintGeneration, made: NewCredential) -> Outcome:
        """Create the Docker secret that holds a credential, which commits it."""
        identity = Identity(action.source, ONE_LIFE, action.version, made.created)
        own = {**labels_of(self._instance, action.secret, identity), **user_label(made.fields)}
        labels = {**own, **made.labels, **action.labels}
        leased = Leased.read(labels)
        if leased is None or bool(leased.lease) != action.source.has_lease:
            # Nobody could keep or end it, and the next cycle would have another one made.
            raise ValueError(f"a credential of {action.source} whose labels make it no generation")
        try:
            data = render(made.fields, action.content)
        except ContentRefused as error:
            raise VaultRefused(error.reason, error.message) from None
        try:
            driver = action.content.template_driver
            self._swarm.create_secret(action.docker_name, data, labels, driver)
        except NameTaken:
            # By another bridge, or by an earlier create of ours: that one has its own custody.
            return Outcome(action, Result.MOVED, f"the name {action.docker_name} is taken")
        return Outcome(action, Result.DONE)

    # --- what is there ---------------------------------------------------------------------------

    def tend(self, action: TendGeneration) -> Outcome:
        """Renew or end a generation."""
        if action.step in (Tend.RENEW_LEASE, Tend.RENEW_CUSTODY):
            write = self._renewal(action)
        else:
            write = self._lasting(action)
        if isinstance(write, str):
            return Outcome(action, Result.MOVED, write)
        write()
        return Outcome(action, Result.DONE)

    def _lasting(self, action: TendGeneration) -> _Write | str:
        """Look and fence; return the write that cannot be undone, or why it is not to be done."""
        if action.step == Tend.MAKE_PERMANENT:
            write = self._renewal(action)
        else:
            view = self._look()
            labels = next((s.labels for s in view.secrets if s.id == action.secret_id), {})
            origin, leased = origin_of(labels), Leased.read(labels)
            if origin is None or leased is None or origin.instance != self._instance:
                return _NOT_OURS
            write = self._end(action, origin, leased, view)
        return write if isinstance(write, str) or self._fence() else _NOT_SURE

    # Each of these only looks. It returns the write, or in words why it is not to be done.

    def _renewal(self, action: TendGeneration) -> _Write | str:
        raw = self._swarm.secret(action.secret_id)
        labels = raw["Spec"].get("Labels") or {}
        origin, leased = origin_of(labels), Leased.read(labels)
        if origin is None or leased is None or not self._is_ours(origin, leased):
            return _NOT_OURS
        if leased.over:
            return "it is being ended"
        if action.step == Tend.RENEW_LEASE:
            return partial(self._vault.leases.renew, leased.lease)
        return partial(self._vault.leases.renew_token, leased.accessor)

    def _is_ours(self, origin: Origin, leased: Leased) -> bool:
        """Return whether a Docker secret's labels name a lease that this bridge made or holds."""
        ours = origin.instance == self._instance
        return ours and origin.identity.source.lease_role(leased) is not None

    def _end(
        self, action: TendGeneration, origin: Origin, leased: Leased, view: SwarmView
    ) -> _Write | str:
        match action.step:
            case Tend.RETIRE:
                return self._retirement(action, view)
            case Tend.ROTATE:
                return self._rotation(action, origin, leased)
            case _ if not self._is_ours(origin, leased):
                return _NOT_OURS
            case _ if is_shared(action.secret_id, leased, view):
                return "another version holds the same lease"
            case Tend.RELEASE:
                return self._release(action, leased)
            case _:
                return self._end_of_lease(action, leased, view)

    def _retirement(self, action: TendGeneration, view: SwarmView) -> _Write | str:
        """Mark a generation as retiring. The mark is final: it is never renewed again."""
        if view.is_used(action.secret_id, action.absent):
            return _USED
        raw = self._swarm.secret(action.secret_id)
        labels = {**(raw["Spec"].get("Labels") or {}), RETIRING: timestamp(action.at)}
        index, name = raw["Version"]["Index"], raw["Spec"]["Name"]
        return partial(self._swarm.set_secret_labels, action.secret_id, index, name, labels)

    def _end_of_lease(
        self, action: TendGeneration, leased: Leased, view: SwarmView
    ) -> _Write | str:
        if not leased.retiring:
            return _NOT_MARKED
        if not action.even_used and view.is_used(action.secret_id, action.absent):
            return _USED
        if action.step == Tend.SHORTEN:
            return partial(self._vault.leases.shorten, leased.lease, action.grace)
        return partial(self._vault.leases.revoke, leased.lease)

    def _release(self, action: TendGeneration, leased: Leased) -> _Write | str:
        """Revoke the custody token of a lease that is over."""
        leases = self._vault.leases
        token = leases.token(leased.accessor)
        if token is None or leases.lease(leased.lease) is not None:
            return "it is gone, or its lease is there again"
        if not leases.is_ours(token, custody_meta(self._instance, action.secret)):
            return _NOT_OURS
        return partial(leases.revoke_token, leased.accessor)

    def _rotation(self, action: TendGeneration, origin: Origin, leased: Leased) -> _Write | str:
        """Rotate the role of a credential without a lease that nothing uses any more."""
        source = origin.identity.source
        if source.has_lease or not source.holds_role(leased.role):
            return _NOT_OURS
        if not leased.retiring:
            return _NOT_MARKED
        but = action.secret_id if action.even_used else ""
        return kind_of(source).rotation(
            self._vault,
            source,
            leased,
            origin.identity.created,
            lambda role: self._in_use(action.secret, role, action.absent, but),
        )
