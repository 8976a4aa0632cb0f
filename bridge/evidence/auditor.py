"""Writes the evidence: to the log, to a file, and its head into the swarm.

One after the other, for each act: the record is linked to the chain, goes to the log stream and to
the file, and only then another act begins. The head is written into the state config once in a
cycle that had acts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any, Protocol

from bridge.errors import BridgeError
from bridge.evidence.acts import Author, Body, acts_of, asked
from bridge.evidence.append_only import AppendOnly
from bridge.evidence.chain import SIGNED, Record, canonical, hash_of, head_after, linked
from bridge.model.audit_head import AUDIT, AuditHead
from bridge.model.conditions import Hold
from bridge.model.events import Event
from bridge.model.memory import Outcome
from bridge.model.plan import Plan
from bridge.model.reasons import Reason
from bridge.model.renewals import is_written, renews
from bridge.model.settings import AuditSettings, TransitKey
from bridge.model.world import World

MOST_PENDING = 10_000
"""Records that wait for a disk that is full, at most; the oldest are then only in the log."""

MOST_OFFERED = 100
"""Heads of which this bridge knows that it may have written them into the swarm, at most."""

RETRY = 5.0
"""Seconds after which a record that could not be written is written again."""


SIGN_RETRY = 60.0
"""Seconds after which Vault is asked again for a signature that it did not give.

The cycle waits for the answer, and that of a Vault that hangs takes 10 s not to come.
"""


class Signer(Protocol):
    """Vault's transit engine, as ``servers.vault.transit``."""

    def sign(self, key: TransitKey, text: str) -> str:
        """Return a signature of a text. Raises ``BridgeError``."""


class Auditor:
    """Knows the end of the chain, and what of it is not written yet.

    Args:
        settings: None where no evidence is asked for; then nothing is done.
        write_head: Writes labels of the state config. Raises ``SwarmError``.
        signer: Signs with ``settings.transit``.
        log: A structlog logger.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        settings: AuditSettings | None,
        author: Author,
        *,
        write_head: Callable[[dict[str, str]], object],
        signer: Signer | None,
        log: Any,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._author = author
        self._write_head = write_head
        self._signer = signer
        self._log = log
        self._clock = clock
        self._file = AppendOnly(settings.file) if settings and settings.file else None
        self._head: AuditHead | None = None
        self._written: AuditHead | None = None
        self._own: AuditHead | None = None
        self._offered: deque[str] = deque(maxlen=MOST_OFFERED)
        self._pending: deque[bytes] = deque(maxlen=MOST_PENDING)
        self._trouble = ""
        self._introduced = self._held = False
        self._world: World | None = None
        self._unsigned_since: float | None = None
        self._signing_failed = ""
        self._sign_from = -inf

    @property
    def blocked(self) -> str:
        """Why no act may begin; empty where one may."""
        holds = self._settings is not None and self._settings.hold
        return self._trouble if holds else ""

    @property
    def stops(self) -> bool:
        """Whether what is under way must stop: a record could not be written since ``begin``.

        Where that was so before, nothing is under way but renewals, which go on.
        """
        return bool(self.blocked) and not self._held

    def forget(self) -> None:
        """Go on from the swarm's head: another bridge may have led in between."""
        self._own = self._head or self._own
        self._head = self._written = self._world = None
        self._introduced = False

    def begin(self, world: World, plan: Plan) -> Plan:
        """Take what was seen and decided; return what may be done of it.

        What operators asked for since the last look is recorded here.
        """
        if self._settings is None:
            self._world = world
            return plan
        former, self._world = self._world, world
        if self._head is None:
            self._resume(world.swarm.audit)
        self._flush()
        for body in self._asked(former, world):
            self._record(body)
        if is_written(plan):
            self._introduce()
        self._held = bool(self.blocked)
        return held_back(plan, self.blocked, self._clock()) if self._held else plan

    def tell(self, outcome: Outcome) -> None:
        """Record an act, before the next one begins."""
        if self._settings is None or self._world is None or self._head is None:
            return
        for body in acts_of(outcome, self._author, self._world, self._clock()):
            self._record(body)

    def end(self) -> None:
        """Sign what is due, and write the head into the swarm where it is another one."""
        if self._settings is None:
            self._let_go()
        if self._head is None or self._world is None:
            return
        self._sign()
        head = replace(self._head, trouble=self._trouble, holds=bool(self.blocked))
        if head == self._written or not self._world.swarm.has_state:
            return
        if not head.seq and not head.trouble:
            return
        self._offered.append(head.hash)  # an answer that is lost may be that of a write
        try:
            self._write_head({AUDIT: head.write()})
        except BridgeError:
            return  # the next cycle writes it
        self._written = head

    def _let_go(self) -> None:
        """Let nothing be held any more for evidence that the configuration does not ask for."""
        head = self._world.swarm.audit if self._world else None
        if head is not None and head.trouble:
            with suppress(BridgeError):
                self._write_head({AUDIT: replace(head, trouble="", holds=False).write()})

    # --- the chain -------------------------------------------------------------------------------

    def _asked(self, former: World | None, world: World) -> Iterator[Body]:
        since = self._head.at if self._head else ""
        before = former.swarm if former else None
        return asked(self._author, before, world.swarm, self._clock(), since)

    def _resume(self, head: AuditHead | None) -> None:
        """Go on with the chain: from the swarm's head, or from the file where that is ahead."""
        self._written = head
        kept = head or AuditHead()
        own, self._own = self._own, None
        if own is None or kept.hash not in self._offered:
            own = kept
        # Else no other bridge has recorded anything since: ours count that the swarm does not know.
        self._offered.append(kept.hash)
        self._head = replace(own, trouble="", holds=False)
        if self._file:
            self._compare(self._file.tail(), self._head)

    def _compare(self, tail: Sequence[Record], head: AuditHead) -> None:
        """Go on from the file's last record where that is ahead of a head; report a gap.

        Args:
            tail: The records at the end of the file, the last one first.
        """
        if self._pending:
            return  # the file is behind, and gets the rest as soon as it can be written
        ours = head.bridge == self._author.bridge
        if not tail:
            if head.seq and ours:
                self._tell_gap(0)
            return
        last = tail[0]
        try:
            seq = int(last["seq"])
            intact = hash_of(last) == last["hash"] and last.get("instance") == self._author.instance
        except (KeyError, ValueError, TypeError):
            return
        if intact and seq > head.seq and not _is_beside(tail, head):
            self._head = head_after(last, head)  # it was killed before it wrote the head
        elif seq < head.seq and ours:
            self._tell_gap(seq)

    def _tell_gap(self, seq: int) -> None:
        assert self._head  # noqa: S101 - it was just resumed
        self._log.error(
            Event.AUDIT_GAP,
            message=f"the audit file ends with record {seq}, and this bridge has written"
            f" {self._head.seq}: its end was cut, or it is an old copy",
        )

    def _introduce(self) -> None:
        """Let this bridge's part of the chain begin: whatever it records comes after that."""
        if not self._introduced:
            self._introduced = True
            self._record(self._author.body(self._clock(), str(Event.LEADS)))

    def _record(self, body: Body) -> None:
        self._introduce()
        assert self._head  # noqa: S101 - it is known before anything is recorded
        record = linked(body, self._head)
        self._head = head_after(record, self._head)
        if self._unsigned_since is None:
            self._unsigned_since = self._clock()
        self._log.info(Event.AUDIT, record=record)
        if self._file:
            self._pending.append(canonical(record))
            self._flush()

    def _flush(self) -> None:
        """Write what waits for the disk, in its order."""
        try:
            while self._file and self._pending:
                self._file.append(self._pending[0])
                self._pending.popleft()
        except OSError as error:
            self._fail(error)
            return
        if self._trouble:
            self._trouble = ""
            self._log.info(Event.AUDIT_WRITABLE)

    def _fail(self, error: OSError) -> None:
        assert self._settings  # noqa: S101 - it has a file
        path, words = self._settings.file, error.strerror or type(error).__name__
        if not self._trouble:
            what = "nothing is begun until they can" if self._settings.hold else "rotations go on"
            message = f"records cannot be written to {path} ({words}); {what}"
            self._trouble = message
            self._log.error(Event.AUDIT_UNWRITABLE, message=message)

    # --- signatures ------------------------------------------------------------------------------

    def _sign(self) -> None:
        """Have Vault sign the chain where enough records, or enough time, have passed."""
        transit = self._settings.transit if self._settings else None
        signer = self._signer
        if (
            transit is None
            or signer is None
            or self._head is None
            or self._head.seq == self._head.signed
        ):
            self._unsigned_since = None
            return
        now = self._clock()
        # Not later than now: the clock may have been set back meanwhile.
        since = self._unsigned_since = min(self._unsigned_since or now, now)
        unsigned = self._head.seq - self._head.signed
        if unsigned < transit.every and now < since + transit.interval:
            return
        self._sign_from = min(self._sign_from, now + SIGN_RETRY)
        if now < self._sign_from:
            return
        self._introduce()
        try:
            signature = signer.sign(transit, self._head.hash)
        except BridgeError as error:
            self._sign_from = self._clock() + SIGN_RETRY
            if str(error) != self._signing_failed:
                self._signing_failed = str(error)
                self._log.warning(Event.AUDIT_UNSIGNED, message=str(error))
            return
        self._signing_failed = ""
        key = f"{transit.mount}/{transit.key}"
        body = self._author.body(self._clock(), SIGNED, key=key, signature=signature)
        self._record(body)
        self._unsigned_since = None


def _is_beside(tail: Sequence[Record], head: AuditHead) -> bool:
    """Return whether a file ends in records that another bridge did not go on from.

    Its bridge was killed before it wrote their head, and another one has led since.

    Args:
        tail: The records at the end of the file, the last one first.
    """
    wanted = tail[0]["hash"]
    for record in tail:
        if record.get("hash") == wanted:
            wanted = record.get("previous")
            if record.get("seq") == head.seq + 1:
                return bool(wanted != head.hash)
    return False


def held_back(plan: Plan, why: str, now: float) -> Plan:
    """Return what of a plan is still done while no record can be written: leases are kept alive."""
    kept = tuple(chain for chain in plan.chains if renews(chain))
    hold = Hold(secret="", reason=Reason.AUDIT_UNWRITABLE, message=why)
    known = any(h.reason == hold.reason for h in plan.holds)
    wake = now + RETRY if plan.wake_at is None else min(plan.wake_at, now + RETRY)
    return replace(
        plan, chains=kept, holds=plan.holds if known else (*plan.holds, hold), wake_at=wake
    )
