"""What Vault answered path by path, and what is held back until the rest is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.reasons import Reason
from bridge.model.vault_view import NOT_YET, Document, KvDocument, Unreadable
from bridge.sources.kv.source import KvPath
from bridge.vault_answers import MOST_HUNG, VaultAnswers
from tests.support.builders import created

HOLD_BACK = 10.0
PATHS = [KvPath("", "kv", f"p{n}") for n in range(6)]
ONE = KvDocument(created(0), 1, {})
TWO = replace(ONE, current=2)
GONE = Unreadable(Reason.PATH_MISSING, "nothing there")
AWAY = Unreadable(Reason.VAULT_UNREACHABLE, "no answer", everywhere=True)


class _Scene:
    def __init__(self) -> None:
        self.answers = VaultAnswers(PATHS, HOLD_BACK)
        self.now = 100.0
        for number in range(len(PATHS)):
            self.note(number, ONE)

    def note(self, number: int, found: Document | Unreadable, *, up: bool = True) -> bool:
        self.now += 1
        return self.answers.note({PATHS[number]: found}, self.now - 0.5, self.now, up=up)

    def known(self, number: int) -> Document | Unreadable:
        return self.answers.view(0.0).paths[PATHS[number]]


@pytest.fixture
def scene() -> _Scene:
    return _Scene()


def test_a_newer_version_is_known_at_once(scene: _Scene) -> None:
    assert scene.note(0, TWO)
    assert scene.known(0) == TWO
    assert not scene.note(0, TWO)


@pytest.mark.parametrize("other", [GONE, replace(ONE, current=0), replace(TWO, path_created="x")])
def test_a_change_that_may_be_one_of_many_waits_for_the_others(
    scene: _Scene, other: Document | Unreadable
) -> None:
    assert not scene.note(0, other)
    first = scene.now
    assert not scene.note(1, other)
    assert (scene.known(0), scene.known(1)) == (ONE, ONE)
    assert scene.answers.release_at == first + HOLD_BACK
    assert not scene.answers.release(first + HOLD_BACK - 0.1)
    assert scene.answers.release(first + HOLD_BACK)
    assert (scene.known(0), scene.known(1)) == (other, other)
    assert scene.answers.view(0.0).asked_at(PATHS[1]) == scene.now - 0.5
    assert scene.answers.release_at == float("inf")


def test_a_change_that_was_none_is_never_known(scene: _Scene) -> None:
    scene.note(0, GONE)
    assert not scene.note(0, ONE)
    assert not scene.answers.release(scene.now + HOLD_BACK)
    assert scene.known(0) == ONE


def test_awaited_answers_are_known_together_and_at_once(scene: _Scene) -> None:
    scene.answers.expect(PATHS[:3])
    before = scene.answers.view(0.0)
    assert not scene.note(0, ONE)
    assert not scene.note(1, ONE)
    assert scene.answers.view(0.0).asked_at(PATHS[0]) == before.asked_at(PATHS[0])
    assert scene.note(2, ONE)
    assert scene.answers.view(0.0).asked_at(PATHS[0]) > before.asked_at(PATHS[0])


def test_an_awaited_answer_that_differs_waits_for_the_others_too(scene: _Scene) -> None:
    scene.answers.expect(PATHS[:1])
    assert not scene.note(0, GONE)
    assert scene.answers.release(scene.answers.release_at)


def test_what_is_read_for_the_first_time_is_known_at_once() -> None:
    answers = VaultAnswers(PATHS, HOLD_BACK)
    assert not answers.complete
    assert not answers.note({PATHS[0]: GONE}, 1.0, 2.0, up=True)  # the watcher tells of these
    view = answers.view(0.0)
    assert [view.paths[path] for path in PATHS[:2]] == [GONE, NOT_YET]


def test_the_answer_to_a_request_from_before_does_not_count(scene: _Scene) -> None:
    scene.answers.forget(PATHS[:1], scene.now + 5)
    assert not scene.note(0, TWO)
    assert scene.known(0) == NOT_YET
    assert scene.answers.is_outdated(PATHS[0], scene.now)
    scene.now += 10
    scene.note(0, TWO)
    assert scene.known(0) == TWO


def test_answers_that_come_out_of_order_do_not_go_back(scene: _Scene) -> None:
    scene.note(0, TWO)
    scene.answers.note({PATHS[0]: ONE}, scene.now - 50, scene.now, up=True)
    assert scene.answers.release_at == float("inf")
    assert scene.known(0) == TWO


def test_an_outage_is_known_at_once_and_ends_at_once(scene: _Scene) -> None:
    scene.note(0, GONE)
    assert scene.note(1, AWAY, up=False)
    assert {scene.known(number) for number in range(6)} == {AWAY}
    assert not scene.note(2, AWAY, up=False)
    assert scene.note(3, TWO)
    assert [scene.known(number) for number in (0, 1, 3)] == [ONE, ONE, TWO]


def test_paths_that_hang_hold_up_others_only_once_they_are_many(scene: _Scene) -> None:
    hung = replace(AWAY, hung=True)
    for number in range(MOST_HUNG):
        scene.note(number, hung)
        assert scene.answers.down is None
    scene.note(MOST_HUNG, hung)
    assert scene.answers.down is not None
    assert scene.answers.down.everywhere


def test_vault_is_away_where_no_path_can_be_read_though_it_says_it_is_up(scene: _Scene) -> None:
    for number in range(len(PATHS)):
        assert scene.answers.down is None
        scene.note(number, AWAY)
    assert scene.answers.down is not None


def test_a_request_is_tried_again_at_once_only_after_few_failures(scene: _Scene) -> None:
    scene.note(0, AWAY)
    assert scene.answers.patient
    scene.note(1, AWAY)
    assert not scene.answers.patient
    scene.note(2, ONE)
    assert scene.answers.patient
