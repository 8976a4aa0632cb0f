"""What actions say of themselves in plans, logs and `status`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.reasons import Reason
from bridge.model.spec import Swap
from bridge.sources.static.source import StaticRoles
from tests.support.builders import ROLE, minted

MOVE = Swap(
    secret="db", to_id="id-2", to_name="db_v2", from_name="db_v1", replaces=frozenset({"id-1"})
)
MINT = minted(Reason.ROTATION_DUE)
PAIR = StaticRoles("", "database", ("a", "b"))


@pytest.mark.parametrize(
    ("swap", "words"),
    [
        (MOVE, "db_v1 -> db_v2"),
        (replace(MOVE, from_name=""), "add db_v2"),
        (replace(MOVE, to_id="", to_name=""), "take db_v1 away"),
        (replace(MOVE, from_name="db_v2", changes=("mode 0400",)), "db_v2 (mode 0400)"),
        (replace(MOVE, changes=("mode 0400", "uid 7")), "db_v1 -> db_v2 (mode 0400, uid 7)"),
    ],
)
def test_a_swap_names_what_moves(swap: Swap, words: str) -> None:
    assert swap.summary == words


def test_a_new_generation_names_where_its_credential_comes_from() -> None:
    """A password that is only read is told from one that is changed in the database."""
    assert MINT.summary == f"create secret db_v2 from a new credential of {ROLE}"
    read = replace(MINT, source=PAIR, role="a")
    assert read.summary == "create secret db_v2 from the password of the static role a"
    rotated = replace(read, rotate=True)
    assert rotated.summary == "create secret db_v2 from a new password of the static role a"
