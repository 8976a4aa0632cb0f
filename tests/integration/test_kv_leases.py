"""Dual validity of leased credentials that a pipeline writes into KV."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.support.lab import Lab
from tests.support.leases import PATH, LeasedDatabase
from tests.support.processes import eventually

Make = Callable[..., LeasedDatabase]


@pytest.fixture
def make(leased_database: Make) -> Make:
    return partial(leased_database, pipeline=True)


@pytest.mark.parametrize("rotations", [1, pytest.param(10, marks=pytest.mark.acceptance)])
def test_a_pipelines_rotations_refuse_no_login(lab: Lab, make: Make, rotations: int) -> None:
    """Leases live beyond their first life and beyond the pipeline's token; the former ones end."""
    leased = make(default_ttl="10s")
    leased.write()
    leased.first()
    bridge = lab.start()
    load = leased.load(replicas=2)
    leased.settle_on(1)
    for rotation in range(1, rotations + 1):
        former = leased.credential()
        fields = leased.write()
        leased.settle_on(rotation + 1)
        assert leased.credential() == (fields["username"], fields["password"])
        assert not leased.can_login(former)
    bridge.wait_for("lease_renewed")
    file = lab.swarm.read(lab.name("api"), "db")[0]
    assert "lease_id" not in file
    assert "accessor" not in file
    totals = load.totals()
    assert (totals.refused, totals.other) == (0, 0), load.refusals() + load.others()
    assert leased.users() == {leased.credential()[0]}


def test_a_version_that_names_somebody_elses_lease_is_held_and_nothing_ends(
    lab: Lab, make: Make
) -> None:
    leased = make()
    leased.write()
    leased.first()
    leased.load(replicas=1, pause=1.0)
    lab.start()
    leased.settle_on(1)
    leased.database.role("other")
    stranger = leased.database.issue("other")
    leased.write(lease_id=stranger["lease_id"])
    eventually(lambda: lab.status(code=None)["db"]["reason"] == "ForeignLease")
    assert lab.versions("db") == {1}
    # A lease of the role, on a token that is not of a custody of this secret: the root's.
    root = lab.vault.get("auth/token/lookup-self")["accessor"]
    leased.write(accessor=root)
    eventually(lambda: lab.versions("db") == {1, 3})
    eventually(lambda: lab.status(code=None)["db"]["reason"] == "ForeignLease")
    assert lab.swarm.references(lab.name("api"))["db"] == lab.name("db_v1")
    assert leased.can_login((stranger["username"], stranger["password"]))
    assert lab.vault.get("auth/token/lookup-self")
    good = leased.write()
    eventually(lambda: "good" in leased.labels().get(4, {}))
    assert leased.credential()[0] == good["username"]
    assert leased.can_login((stranger["username"], stranger["password"]))


def test_a_lease_that_two_versions_name_goes_on_with_the_newer_one(lab: Lab, make: Make) -> None:
    """Another field of the path was changed, and the credential was not."""
    leased = make()
    fields = leased.write()
    leased.first()
    leased.load(replicas=1, pause=1.0)
    lab.start()
    leased.settle_on(1)
    lab.vault.write(lab.mount, PATH, **fields, note="more")
    leased.settle_on(2)
    assert leased.can_login((fields["username"], fields["password"]))


@pytest.mark.acceptance
def test_what_vault_has_ended_is_said_and_rolled_nowhere(lab: Lab, make: Make) -> None:
    leased = make()
    leased.write()
    leased.first()
    leased.load(replicas=1, pause=1.0)
    lab.start()
    leased.settle_on(1)
    leased.database.revoke(leased.lease(1))
    eventually(lambda: lab.status(code=None)["db"]["reason"] == "LeaseVanished")
    leased.write()
    leased.settle_on(2)
    assert leased.can_login(leased.credential())
