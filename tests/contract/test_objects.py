"""What the bridge takes for granted of Docker secrets and configs."""

from __future__ import annotations

import pytest

from bridge.errors import NameTaken, NotFound, OutOfSequence, SwarmRefused
from bridge.model.content.payload import MAX_BYTES, Concealed
from bridge.model.timestamps import instant
from tests.contract.sides import SwarmSide

# --- secrets -------------------------------------------------------------------------------------


def test_a_secret_is_listed_as_it_was_made_but_for_its_content(side: SwarmSide) -> None:
    made = side.secret("db", "value", {"team": "shop"})
    (found,) = [s for s in side.client.secrets() if s["ID"] == made]
    assert found == side.client.secret(made)
    assert found["Spec"]["Name"] == side.name("db")
    assert found["Spec"]["Labels"] == {"team": "shop"}
    assert "Data" not in found["Spec"]
    assert instant(found["CreatedAt"])
    assert found["Version"]["Index"]


@pytest.mark.parametrize("name", ["db", "DB"])
def test_a_name_is_taken_regardless_of_case(side: SwarmSide, name: str) -> None:
    side.secret("db")
    with pytest.raises(NameTaken):
        side.secret(name, "other")


def test_a_name_is_free_again_once_its_secret_is_removed(side: SwarmSide) -> None:
    first = side.secret("db")
    side.client.remove_secret(first)
    assert side.secret("db") != first


@pytest.mark.parametrize("size", [0, MAX_BYTES + 1])
def test_content_of_no_bytes_or_too_many_is_refused(side: SwarmSide, size: int) -> None:
    with pytest.raises(SwarmRefused, match="larger than 0 and less than 512000"):
        side.client.create_secret(side.name("db"), Concealed(b"x" * size), {})


def test_content_of_just_so_many_bytes_is_taken(side: SwarmSide) -> None:
    side.client.create_secret(side.name("db"), Concealed(b"x" * MAX_BYTES), {})


@pytest.mark.parametrize("name", ["a" * 64, "-", "a b", ""])
def test_names_that_the_engine_does_not_take(side: SwarmSide, name: str) -> None:
    """A prefix makes the first of them too long; each ends with what is not to its liking."""
    with pytest.raises(SwarmRefused):
        side.client.create_secret(side.name(name), Concealed(b"x"), {})


def test_a_name_has_64_characters_at_most(side: SwarmSide) -> None:
    longest = side.name("db").ljust(64, "x")
    side.client.create_secret(longest, Concealed(b"x"), {})
    with pytest.raises(SwarmRefused, match="only 64"):
        side.client.create_secret(f"{longest}x", Concealed(b"x"), {})


def test_the_content_of_a_secret_can_be_compared_without_a_write(side: SwarmSide) -> None:
    made = side.secret("db", "value")
    before = side.client.secret(made)
    assert side.client.holds(made, side.name("db"), Concealed(b"value"))
    assert not side.client.holds(made, side.name("db"), Concealed(b"other"))
    assert side.client.secret(made) == before


def test_the_content_of_a_secret_that_is_gone_cannot_be_compared(side: SwarmSide) -> None:
    made = side.secret("db", "value")
    side.client.remove_secret(made)
    with pytest.raises(NotFound):
        side.client.holds(made, side.name("db"), Concealed(b"value"))


def test_labels_are_replaced_all_at_once_and_nothing_else_is(side: SwarmSide) -> None:
    made = side.secret("db", "value", {"a": "1", "b": "2"})
    before = side.client.secret(made)
    side.client.set_secret_labels(made, before["Version"]["Index"], side.name("db"), {"b": "3"})
    after = side.client.secret(made)
    assert after["Spec"] == {**before["Spec"], "Labels": {"b": "3"}}
    assert after["CreatedAt"] == before["CreatedAt"]
    assert after["Version"]["Index"] > before["Version"]["Index"]
    assert side.client.holds(made, side.name("db"), Concealed(b"value"))


def test_a_template_driver_is_kept_when_labels_are_written(side: SwarmSide) -> None:
    """It is no part of what is compared: the content alone decides."""
    value = Concealed(b"{{ .Task.Slot }}")
    made = side.client.create_secret(side.name("db"), value, {}, "golang")
    before = side.client.secret(made)
    assert before["Spec"]["Templating"] == {"Name": "golang"}
    side.client.set_secret_labels(made, before["Version"]["Index"], side.name("db"), {"a": "1"})
    assert side.client.secret(made)["Spec"] == {**before["Spec"], "Labels": {"a": "1"}}
    assert side.client.holds(made, side.name("db"), value)


def test_labels_are_not_written_over_those_of_somebody_quicker(side: SwarmSide) -> None:
    made = side.secret("db", labels={"a": "1"})
    index = side.client.secret(made)["Version"]["Index"]
    side.client.set_secret_labels(made, index, side.name("db"), {"a": "2"})
    with pytest.raises(OutOfSequence):
        side.client.set_secret_labels(made, index, side.name("db"), {"a": "3"})
    assert side.client.secret(made)["Spec"]["Labels"] == {"a": "2"}


def test_a_secret_that_is_gone_is_not_found(side: SwarmSide) -> None:
    made = side.secret("db")
    index = side.client.secret(made)["Version"]["Index"]
    side.client.remove_secret(made)
    with pytest.raises(NotFound):
        side.client.remove_secret(made)
    with pytest.raises(NotFound):
        side.client.secret(made)
    with pytest.raises(NotFound):
        side.client.set_secret_labels(made, index, side.name("db"), {})
    assert made not in {s["ID"] for s in side.client.secrets()}


# --- configs -------------------------------------------------------------------------------------


def test_a_config_is_found_by_its_exact_name(side: SwarmSide) -> None:
    """The engine's own filter is a prefix."""
    side.client.create_config(side.name("state-2"), b"x", {"of": "two"})
    assert side.client.config(side.name("state")) is None
    made = side.client.create_config(side.name("state"), b"x", {"of": "one"})
    found = side.client.config(side.name("state"))
    assert found
    assert found["ID"] == made
    assert found["Spec"]["Name"] == side.name("state")
    assert found["Spec"]["Labels"] == {"of": "one"}


def test_the_name_of_a_config_is_taken_once(side: SwarmSide) -> None:
    side.client.create_config(side.name("state"), b"x", {"of": "one"})
    with pytest.raises(NameTaken):
        side.client.create_config(side.name("state"), b"x", {"of": "two"})
    found = side.client.config(side.name("state"))
    assert found
    assert found["Spec"]["Labels"] == {"of": "one"}


def test_a_config_has_a_namespace_of_its_own(side: SwarmSide) -> None:
    side.secret("state")
    side.client.create_config(side.name("state"), b"x", {})


def test_labels_of_a_config_are_written_by_compare_and_set(side: SwarmSide) -> None:
    side.client.create_config(side.name("state"), b"x", {"a": "1"})
    looked = side.client.config(side.name("state"))
    assert looked
    side.client.set_config_labels(looked, {"b": "2"})
    with pytest.raises(OutOfSequence):
        side.client.set_config_labels(looked, {"c": "3"})
    found = side.client.config(side.name("state"))
    assert found
    assert found["Spec"]["Labels"] == {"b": "2"}
    side.client.set_config_labels(found, {"c": "3"})


# --- nodes ---------------------------------------------------------------------------------------


def test_a_node_says_what_it_is_called_and_how_it_is(side: SwarmSide) -> None:
    for node in side.client.nodes():
        assert node["ID"]
        assert node["Description"]["Hostname"]
        assert node["Spec"]["Availability"] == "active"
        assert node["Status"]["State"] == "ready"
