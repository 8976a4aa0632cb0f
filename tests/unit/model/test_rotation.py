"""One name for a rotation, the same for everybody; it never stands for another one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.mirror import Mirror
from bridge.model.rotation import rotation_of
from bridge.report.log_schema import log_schema
from bridge.sources.database.source import DatabaseRole
from tests.support.builders import identity, secret_of


def test_it_names_secret_and_version_and_fits_the_published_schema() -> None:
    name = rotation_of("default", "shop_db", identity(7))
    assert name.startswith("shop_db@7-")
    assert len(name) == len("shop_db@7-") + 4
    assert log_schema()["properties"]["rotation"]["pattern"] == "^.+@[0-9]+-[a-z2-7]{4}$"


def test_it_is_the_one_of_the_docker_secret() -> None:
    mirror = Mirror.read(secret_of(3))
    assert mirror
    assert mirror.rotation == rotation_of("default", "db", identity(3))


@pytest.mark.parametrize(
    ("instance", "other"),
    [
        ("other", identity(7)),
        ("default", identity(7, born="2026-11-20T00:00:00Z")),
        ("default", replace(identity(7), created="2026-11-21T00:00:00Z")),
        ("default", replace(identity(7), source=DatabaseRole("", "database", "db"))),
    ],
    ids=["another instance", "another life", "a restored Vault", "another source"],
)
def test_version_7_of_something_else_has_another_name(instance: str, other: Identity) -> None:
    assert rotation_of(instance, "db", other) != rotation_of("default", "db", identity(7))


def test_a_generation_has_its_name_before_vault_has_made_it() -> None:
    role = DatabaseRole("", "database", "db")
    before = Identity(role, ONE_LIFE, 2, ONE_LIFE)
    after = Identity(role, ONE_LIFE, 2, "2026-11-21T00:00:00Z")
    assert rotation_of("default", "db", before) == rotation_of("default", "db", after)
