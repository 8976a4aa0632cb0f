"""Whether a bridge acts, by what the leader's lease answers."""

from __future__ import annotations

from typing import cast

import pytest

from bridge.errors import Cancelled, SwarmUnreachable
from bridge.lead import Lead
from bridge.leader_lease import Lease


class _Lease:
    """A lease whose answers are given."""

    def __init__(self, *answers: bool | Exception) -> None:
        self._answers = iter(answers)
        self.other = None

    def hold(self) -> bool:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    renew = hold


def _lead(*answers: bool | Exception, stopping: bool = False) -> Lead:
    return Lead(cast("Lease", _Lease(*answers)), lambda: stopping)


def test_a_lead_begins_once() -> None:
    lead = _lead(False, True, True)
    assert not lead.take()
    assert not lead.begun
    assert lead.take()
    assert lead.begun
    assert lead.take()
    assert not lead.begun


@pytest.mark.parametrize("lost", [False, SwarmUnreachable("no answer"), Cancelled("lapsed")])
def test_a_lead_that_is_lost_in_a_look_stays_lost_until_it_is_taken(
    lost: bool | Exception,
) -> None:
    lead = _lead(True, lost, True)
    lead.take()
    assert not lead.keep()
    assert not lead.keep()  # without asking again
    assert lead.take()
    assert lead.begun


def test_who_does_not_lead_has_nothing_to_lose() -> None:
    lead = _lead(False)
    lead.take()
    assert lead.keep()


def test_a_stop_is_no_loss_of_the_lead() -> None:
    lead = _lead(True, Cancelled("stop"), stopping=True)
    lead.take()
    with pytest.raises(Cancelled):
        lead.keep()


@pytest.mark.parametrize("answer", [True, False])
def test_the_fence_is_the_answer_of_a_write(answer: bool) -> None:
    assert _lead(answer).fence() == answer
    assert not _lead(SwarmUnreachable("no answer")).fence()
