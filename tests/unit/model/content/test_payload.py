"""The fields of a Vault version become the bytes of a Docker secret."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ContentRefused
from bridge.model.content.payload import MAX_BYTES, Concealed, render
from bridge.model.desired import Content, Format

RAW = Content(format=Format.RAW, field="password")
JSON = Content(format=Format.JSON)
CANARY = "canary-4711"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_raw_is_the_text_as_it_is(text: str) -> None:
    """No byte is added, none is taken away."""
    assert render({"password": text, "other": 1}, RAW).reveal() == text.encode()


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(st.characters(exclude_categories=["Cs"]))
        | st.lists(st.booleans()),
    )
)
def test_json_reads_back_as_what_vault_has(fields: dict[str, Any]) -> None:
    """A reference parser reads the same map."""
    data = render(fields, JSON).reveal()
    assert json.loads(data) == fields
    assert b"\n" not in data


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"user": CANARY}, "FieldMissing"),
        ({"password": 7}, "FieldNotText"),
        ({"password": True}, "FieldNotText"),
        ({"password": {"a": CANARY}}, "FieldNotText"),
        ({"password": None}, "FieldNotText"),
        ({"password": ""}, "ContentEmpty"),
        ({"password": CANARY * 50_000}, "ContentTooLarge"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_without_a_byte_of_it(
    fields: dict[str, Any], reason: str
) -> None:
    """I6: the message says what is wrong with the content and quotes nothing of it."""
    with pytest.raises(ContentRefused) as caught:
        render(fields, RAW)
    assert caught.value.reason == reason
    assert CANARY not in str(caught.value)


def test_the_largest_content_is_taken() -> None:
    """The engine takes 511,999 bytes."""
    assert len(render({"password": "x" * MAX_BYTES}, RAW).reveal()) == MAX_BYTES


def test_a_concealed_value_shows_itself_nowhere() -> None:
    """I6: no text, no format string and no pickle holds it."""
    value = Concealed(CANARY.encode())
    shown = [str(value), repr(value), f"{value}", repr([value]), repr({"a": value})]
    assert not any(CANARY in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(value)
    assert copy.deepcopy(value) is value
