"""A kind of source is one folder: the configuration, looks, policy and decisions ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import yaml

from bridge.config import load
from bridge.errors import ConfigError
from bridge.loop import Loop
from bridge.model.plan import Plan
from bridge.report.policy import policy_hcl
from bridge.report.status import status_json
from bridge.sources import kinds
from tests.integration.plain_kind.kind import Plain
from tests.support.lab import Lab


@pytest.fixture
def plain(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Add the kind to the tuple; returns a mount of it."""
    monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS, Plain()))
    mount = f"{lab.mount}-v1"
    lab.vault.mount_kv(mount, version=1)
    yield mount
    lab.vault.unmount(mount)


def _write(lab: Lab, mount: str, version: int) -> str:
    value = lab.canary()
    written = f"2026-11-{version:02d}T10:00:00Z"
    lab.vault.put(f"{mount}/apps/db", password=value, version=version, written=written)
    return value


def _configure(lab: Lab, mount: str, **more: str) -> str:
    file = lab.write_config()
    document = yaml.safe_load(file.read_text())
    document["secrets"][lab.name("db")] = {
        "plain": {"mount": mount, "path": "apps/db", **more},
        "format": "json",
        "services": {lab.name("api"): {"target": "db.json"}},
    }
    file.write_text(yaml.safe_dump(document))
    return str(file)


def _sync(file: str) -> Plan:
    with closing(Loop(load(file, {}))) as loop:
        plan, finished = loop.sync(90.0)
    assert finished, (plan.chains, plan.holds, plan.conditions)
    return plan


def test_a_kind_that_is_added_in_its_own_folder_is_mirrored_and_rolled(
    lab: Lab, plain: str
) -> None:
    lab.service("api")
    file = _configure(lab, plain)
    for version in (1, 2, 5):
        value = _write(lab, plain, version)
        plan = _sync(file)
        content = f'{{"password":"{value}"}}'
        read = [found.replace(" ", "") for found in lab.swarm.read(lab.name("api"), "db.json")]
        assert read == [content, content]
        [secret] = status_json(plan.conditions)["secrets"]
        assert (secret["vault_version"], secret["running_version"]) == (version, version)
        assert secret["state"] == "Synced"
    assert lab.versions("db") == {2, 5}
    configuration = load(file, {})
    policy = policy_hcl(configuration.desired, configuration.settings.vault)
    assert f'path "{plain}/apps/db" {{ capabilities = ["read"] }}' in policy


def test_its_section_is_checked_as_any_other(lab: Lab, plain: str) -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        load(_configure(lab, plain, pth="x"), {})


def test_it_is_unknown_without_the_tuple(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="exactly one of `kv`, `database`, `static` is needed"):
        load(_configure(lab, "kv"), {})
