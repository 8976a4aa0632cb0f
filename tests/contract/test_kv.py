"""What the bridge takes for granted of Vault's KV version 2."""

from __future__ import annotations

import pytest

from bridge.errors import VaultRefused
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant
from tests.contract.sides import VaultSide


def _refusal(kv: VaultSide, version: int) -> str:
    with pytest.raises(VaultRefused) as refused:
        kv.read(version)
    return refused.value.reason


def test_nothing_is_at_a_path_that_was_never_written(kv: VaultSide) -> None:
    with pytest.raises(VaultRefused) as refused:
        kv.metadata()
    assert refused.value.reason == Reason.PATH_MISSING
    assert _refusal(kv, 1) == Reason.PATH_MISSING


def test_writes_are_counted_from_one_also_of_the_same_value(kv: VaultSide) -> None:
    assert [kv.write("a"), kv.write("a"), kv.write("b")] == [1, 2, 3]
    metadata = kv.metadata()
    assert metadata["current_version"] == 3
    assert set(metadata["versions"]) == {"1", "2", "3"}


def test_the_metadata_say_when_the_path_and_each_version_were_made(kv: VaultSide) -> None:
    kv.write("a")
    kv.write("b")
    metadata = kv.metadata()
    one, two = metadata["versions"]["1"], metadata["versions"]["2"]
    assert instant(metadata["created_time"]) <= instant(one["created_time"])
    assert instant(one["created_time"]) < instant(two["created_time"])
    for version in (one, two):
        assert version["deletion_time"] == ""
        assert version["destroyed"] is False


def test_a_version_is_read_with_its_value_and_its_time(kv: VaultSide) -> None:
    kv.write("a")
    kv.write("b")
    for number, value in ((1, "a"), (2, "b")):
        read = kv.read(number)
        assert read["data"] == {"password": value}
        assert read["metadata"]["version"] == number
        assert (
            read["metadata"]["created_time"]
            == (kv.metadata()["versions"][str(number)]["created_time"])
        )


def test_a_deleted_version_says_since_when_and_stays_the_current_one(kv: VaultSide) -> None:
    kv.write("a")
    kv.write("b")
    kv.delete(2)
    metadata = kv.metadata()
    assert metadata["current_version"] == 2
    assert instant(metadata["versions"]["2"]["deletion_time"])
    assert metadata["versions"]["2"]["destroyed"] is False
    assert metadata["versions"]["1"]["deletion_time"] == ""
    assert _refusal(kv, 2) == Reason.VERSION_DELETED
    assert kv.read(1)["data"] == {"password": "a"}


def test_an_undeleted_version_is_as_it_was(kv: VaultSide) -> None:
    kv.write("a")
    before = kv.metadata()["versions"]
    kv.delete(1)
    kv.undelete(1)
    assert kv.metadata()["versions"] == before
    assert kv.read(1)["data"] == {"password": "a"}


def test_a_destroyed_version_does_not_come_back(kv: VaultSide) -> None:
    kv.write("a")
    kv.destroy(1)
    for _ in range(2):
        version = kv.metadata()["versions"]["1"]
        assert (version["destroyed"], version["deletion_time"]) == (True, "")
        assert _refusal(kv, 1) == Reason.VERSION_DELETED
        kv.undelete(1)


def test_a_version_that_was_deleted_can_still_be_destroyed(kv: VaultSide) -> None:
    kv.write("a")
    kv.delete(1)
    deleted = kv.metadata()["versions"]["1"]["deletion_time"]
    kv.destroy(1)
    version = kv.metadata()["versions"]["1"]
    assert (version["destroyed"], version["deletion_time"]) == (True, deleted)
    kv.undelete(1)
    assert kv.metadata()["versions"]["1"] == version


def test_a_destroyed_version_is_not_deleted_too(kv: VaultSide) -> None:
    kv.write("a")
    kv.destroy(1)
    before = kv.metadata()["versions"]
    kv.delete(1)
    assert kv.metadata()["versions"] == before


def test_a_version_that_never_was_is_told_from_one_that_was_deleted(kv: VaultSide) -> None:
    kv.write("a")
    assert _refusal(kv, 2) == Reason.PATH_MISSING


def test_what_is_done_to_versions_that_never_were_changes_nothing(kv: VaultSide) -> None:
    kv.write("a")
    before = kv.metadata()
    kv.delete(7)
    kv.undelete(7)
    kv.destroy(7)
    assert kv.metadata()["versions"] == before["versions"]


def test_a_write_after_a_deletion_goes_on_counting(kv: VaultSide) -> None:
    kv.write("a")
    kv.delete(1)
    assert kv.write("b") == 2
    assert kv.metadata()["versions"]["1"]["deletion_time"]
    assert kv.read(2)["data"] == {"password": "b"}


def test_a_path_written_anew_counts_from_one_again_with_other_times(kv: VaultSide) -> None:
    """The number of a version does not say which it is (see ``Identity``)."""
    kv.write("a")
    kv.write("b")
    before = kv.metadata()
    kv.delete_metadata()
    with pytest.raises(VaultRefused) as refused:
        kv.metadata()
    assert refused.value.reason == Reason.PATH_MISSING
    assert kv.write("c") == 1
    after = kv.metadata()
    assert after["current_version"] == 1
    assert set(after["versions"]) == {"1"}
    assert instant(after["created_time"]) > instant(before["created_time"])
    assert after["versions"]["1"]["created_time"] != before["versions"]["1"]["created_time"]
    assert kv.read(1)["data"] == {"password": "c"}
    assert _refusal(kv, 2) == Reason.PATH_MISSING
