"""What the bridge takes for granted of Vault's database engine, its leases and their custody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.errors import VaultError, VaultRefused, VaultUnreachable
from bridge.model.leased import RoleDocument
from bridge.model.reasons import Reason
from bridge.model.timestamps import instant
from bridge.servers.vault.leases import VAULTS_OWN_MAX
from bridge.sources.database.source import DatabaseRole
from tests.contract.lease_sides import META, PROVISIONAL, LeaseSide, LeasesInMemory, RealLeases

YEAR = 365 * 86400.0


def _side(request: pytest.FixtureRequest, folder: Path, *, own_login: bool) -> LeaseSide:
    if request.param == "fake":
        return LeasesInMemory(own_login=own_login)
    vault, postgres = request.getfixturevalue("vault"), request.getfixturevalue("postgres")
    return RealLeases(vault, postgres, folder, own_login=own_login)


@pytest.fixture(params=["fake", "real"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LeaseSide]:
    """A role whose credentials have custody tokens that are made with a token role."""
    made = _side(request, tmp_path, own_login=False)
    yield made
    made.close()


@pytest.fixture(params=["fake", "real"])
def logins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LeaseSide]:
    """A role whose credentials have logins of their own."""
    made = _side(request, tmp_path, own_login=True)
    yield made
    made.close()


def refused(side: LeaseSide, call: Callable[[], object]) -> str:
    """Return why something is refused; the words tell nothing that was issued (I6)."""
    with pytest.raises(VaultRefused) as error:
        call()
    _says_nothing(side, error.value)
    return error.value.reason


def _says_nothing(side: LeaseSide, error: VaultError) -> None:
    told = f"{error} {error!r} {error.hint} {error.__cause__} {vars(error)}"
    assert error.__suppress_context__ or error.__context__ is None
    assert not [handle for handle in side.handles if handle in told]


# --- roles ---------------------------------------------------------------------------------------


def test_a_role_says_what_lives_it_gives(side: LeaseSide) -> None:
    assert side.client.role(side.source) == RoleDocument(20.0, 60.0)
    side.role(100.0, 60.0)
    assert side.client.role(side.source) == RoleDocument(60.0, 60.0)


def test_a_role_or_a_mount_that_is_not_there_is_named(side: LeaseSide) -> None:
    none = DatabaseRole("", side.source.mount, "none")
    nowhere = DatabaseRole("", "nowhere", "shop")
    assert refused(side, lambda: side.client.role(none)) == Reason.ROLE_MISSING
    assert refused(side, lambda: side.client.role(nowhere)) == Reason.MOUNT_MISSING
    assert refused(side, lambda: side.client.issue(none, META)) == Reason.VAULT_REFUSED
    assert side.custodies() == 0


def test_what_is_forbidden_is_told(side: LeaseSide) -> None:
    issued, client = side.issue(), side.client
    place = f"{side.source.mount}/roles/shop"
    side.forbid(place)
    assert refused(side, lambda: client.role(side.source)) == Reason.PERMISSION_DENIED
    calls: dict[str, Callable[[], object]] = {
        "sys/leases/lookup": lambda: client.lease(issued.lease),
        "sys/leases/renew": lambda: client.renew(issued.lease),
        "sys/leases/revoke": lambda: client.revoke(issued.lease),
        "auth/token/lookup-accessor": lambda: client.token(issued.accessor),
        "auth/token/renew-accessor": lambda: client.renew_token(issued.accessor),
        "auth/token/revoke-accessor": lambda: client.revoke_token(issued.accessor),
    }
    for path, call in calls.items():
        side.forbid(path)
        assert refused(side, call) == Reason.PERMISSION_DENIED
    side.forbid(side.creates)
    assert refused(side, lambda: client.issue(side.source, META)) == Reason.CUSTODY_REFUSED


# --- a new credential ----------------------------------------------------------------------------


def test_a_credential_is_issued_with_a_lease_and_a_custody(side: LeaseSide) -> None:
    before = side.now()
    issued = side.issue()
    assert issued.lease.startswith(side.source.lease_prefix)
    assert set(issued.fields) == {"username", "password"}
    assert abs(instant(issued.issued) / 1e9 - before) < 2
    lease, custody = side.life(issued), side.custody(issued)
    assert side.left(lease) in (19, 20)
    assert round(lease.granted) == 20
    assert abs(lease.started - before) < 2
    assert not lease.renewed
    assert side.left(custody) in (2, 3)
    assert round(custody.granted) == PROVISIONAL
    assert (custody.renewed, custody.period, custody.longest) == (False, 0.0, 0.0)
    assert side.custodies() == 1


def test_the_custody_says_whose_it_is(side: LeaseSide) -> None:
    token = side.client.token(side.issue().accessor)
    assert token
    assert side.client.is_ours(token, META)
    assert not side.client.is_ours(token, {**META, "secret": "other"})
    assert not side.client.is_ours({**token, "role": "other"}, META)
    assert not side.client.is_ours({**token, "meta": None}, META)


def test_a_credential_that_is_not_issued_leaves_no_custody(side: LeaseSide) -> None:
    side.forbid_custodies()
    assert refused(side, lambda: side.client.issue(side.source, META)) == Reason.CUSTODY_REFUSED
    assert side.custodies() == 0


def test_batch_tokens_are_refused(side: LeaseSide) -> None:
    side.give_batch_tokens()
    assert refused(side, lambda: side.client.issue(side.source, META)) == Reason.CUSTODY_REFUSED


def test_batch_logins_are_refused(logins: LeaseSide) -> None:
    logins.give_batch_tokens()
    assert refused(logins, lambda: logins.client.issue(logins.source, META)) == (
        Reason.CUSTODY_REFUSED
    )


# --- renewal -------------------------------------------------------------------------------------


def test_a_renewal_gives_what_the_role_gives(side: LeaseSide) -> None:
    issued = side.issue()
    side.client.renew_token(issued.accessor)
    side.pass_by(1.1)
    before = side.life(issued)
    side.client.renew(issued.lease)
    after = side.life(issued)
    assert after.renewed
    assert round(after.granted) == 20
    assert after.ends > before.ends + 1
    assert abs(after.started - before.started) < 1.2  # Vault tells whole seconds


def test_a_renewal_meets_what_the_role_gives_by_then(side: LeaseSide) -> None:
    issued = side.issue()
    side.role(10.0, 12.0)
    side.client.renew(issued.lease)
    assert side.left(side.life(issued)) in (9, 10)
    side.role(100.0, 12.0)
    side.client.renew(issued.lease)
    life = side.life(issued)
    assert side.left(life) in (11, 12)
    assert abs(life.ends - life.started - 12.0) < 1


def test_a_lease_is_renewed_to_its_longest_life_and_not_beyond(side: LeaseSide) -> None:
    side.role(4.0, 5.0)
    issued = side.issue()
    side.client.renew_token(issued.accessor)
    side.pass_by(2.2)
    side.client.renew(issued.lease)
    life = side.life(issued)
    assert life.granted < 3.6  # what tells that it met its end
    assert abs(life.ends - life.started - 5.0) < 1


def test_a_lease_is_shortened_and_ends_by_itself(side: LeaseSide) -> None:
    """A dead man's switch: Vault ends it, whatever becomes of us."""
    issued = side.issue()
    side.client.renew_token(issued.accessor)
    side.client.shorten(issued.lease, 2.0)
    assert side.left(side.life(issued)) in (1, 2)
    assert side.logs_in(issued)
    side.until_ended(issued)
    assert side.client.lease(issued.lease) is None
    assert side.client.token(issued.accessor) is not None


def test_a_lease_is_never_shortened_to_nothing(side: LeaseSide) -> None:
    """An increment of 0 would be taken for the role's own."""
    issued = side.issue()
    side.client.shorten(issued.lease, 0.0)
    assert side.left(side.life(issued)) <= 1


def test_a_custody_that_is_renewed_lives_as_long_as_vault_lets_it(side: LeaseSide) -> None:
    issued = side.issue()
    side.client.renew_token(issued.accessor)
    custody = side.custody(issued)
    assert custody.renewed
    assert abs(custody.ends - custody.started - VAULTS_OWN_MAX) < 2
    assert custody.ends < side.now() + YEAR


# --- the end -------------------------------------------------------------------------------------


def test_a_lease_ends_in_its_time(side: LeaseSide) -> None:
    side.role(2.0, 60.0)
    issued = side.issue()
    side.client.renew_token(issued.accessor)
    side.until_ended(issued)
    assert side.client.lease(issued.lease) is None
    assert refused(side, lambda: side.client.renew(issued.lease)) == Reason.VAULT_REFUSED
    assert side.client.token(issued.accessor) is not None


def test_a_lease_ends_with_a_custody_that_stayed_provisional(side: LeaseSide) -> None:
    """I10: so does whatever was made just before a crash."""
    issued = side.issue()
    assert side.left(side.life(issued)) > PROVISIONAL + 10
    side.until_ended(issued)
    assert side.client.lease(issued.lease) is None
    assert side.client.token(issued.accessor) is None
    assert refused(side, lambda: side.client.renew_token(issued.accessor)) == Reason.VAULT_REFUSED


def test_a_lease_ends_with_its_custody(side: LeaseSide) -> None:
    issued = side.issue()
    side.client.revoke_token(issued.accessor)
    side.until_ended(issued)
    assert side.client.lease(issued.lease) is None
    side.client.revoke_token(issued.accessor)


def test_what_is_let_go_of_ends_and_trouble_with_it_is_not_said(side: LeaseSide) -> None:
    issued = side.issue()
    side.client.let_go(issued.accessor)
    side.until_ended(issued)
    side.forbid("auth/token/revoke-accessor")
    side.client.let_go(issued.accessor)


def test_a_lease_is_revoked(side: LeaseSide) -> None:
    issued, other = side.issue(), side.issue()
    side.client.revoke(issued.lease)
    side.until_ended(issued)
    assert side.client.lease(issued.lease) is None
    assert side.client.token(issued.accessor) is not None
    side.client.revoke(issued.lease)
    assert side.logs_in(other)


def test_a_lease_that_somebody_revoked_is_gone(side: LeaseSide) -> None:
    issued = side.issue()
    side.revoke(issued)
    assert not side.logs_in(issued)
    assert side.client.lease(issued.lease) is None
    assert refused(side, lambda: side.client.renew(issued.lease)) == Reason.VAULT_REFUSED


def test_what_vault_does_not_know_is_told_from_what_cannot_be_asked(side: LeaseSide) -> None:
    lease, accessor = f"{side.source.lease_prefix}never-was", "never-was-any"
    side.handles += [lease, accessor]
    client = side.client
    assert client.lease(lease) is None
    assert client.token(accessor) is None
    assert refused(side, lambda: client.renew(lease)) == Reason.VAULT_REFUSED
    assert refused(side, lambda: client.shorten(lease, 5.0)) == Reason.VAULT_REFUSED
    assert refused(side, lambda: client.renew_token(accessor)) == Reason.VAULT_REFUSED
    client.revoke(lease)
    client.revoke_token(accessor)


# --- without the database ------------------------------------------------------------------------


def test_what_needs_the_database_waits_for_it(side: LeaseSide) -> None:
    """That passes by itself, and is told from a refusal; what should end is no longer alive."""
    issued, other, client = side.issue(), side.issue(), side.client
    client.renew_token(issued.accessor)
    side.stop_database()
    before = side.custodies()
    calls: list[Callable[[], object]] = [
        lambda: client.renew(issued.lease),
        lambda: client.shorten(issued.lease, 5.0),
        lambda: client.issue(side.source, META),
    ]
    for call in calls:
        with pytest.raises(VaultUnreachable) as error:
            call()
        assert not error.value.everywhere
        _says_nothing(side, error.value)
    assert side.custodies() == before
    client.revoke(issued.lease)
    client.revoke_token(other.accessor)
    assert client.token(other.accessor) is None
    for ending in (issued, other):
        assert side.left(side.life(ending)) <= 0
        assert not side.life(ending).failed


# --- logins of their own -------------------------------------------------------------------------


def test_a_login_of_its_own_can_be_a_custody(logins: LeaseSide) -> None:
    one, two = logins.issue(), logins.issue()
    assert one.accessor != two.accessor
    token = logins.client.token(one.accessor)
    assert token
    assert logins.client.is_ours(token, META)
    assert not logins.client.is_ours({**token, "path": "other"}, META)
    custody = logins.custody(one)
    assert round(custody.granted) == PROVISIONAL
    assert not custody.renewed
    logins.client.renew_token(one.accessor)
    assert logins.custody(one).renewed
    logins.client.revoke_token(two.accessor)
    logins.until_ended(two)
    assert logins.logs_in(one)
