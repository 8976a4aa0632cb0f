"""Where an engine is behind ssh, as Docker's own commands write it."""

from __future__ import annotations

import pytest

from bridge.model.settings import SshAddress


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://manager", SshAddress("manager")),
        ("ssh://Manager-1.example.net/", SshAddress("Manager-1.example.net")),  # aliases have cases
        ("ssh://ops@10.0.0.1:2222", SshAddress("10.0.0.1", "ops", 2222)),
        ("ssh://ops@[fd00::1]:2222", SshAddress("fd00::1", "ops", 2222)),
        ("ssh://h/run/user/1/docker.sock", SshAddress("h", socket="/run/user/1/docker.sock")),
    ],
)
def test_an_address_is_read_as_docker_reads_it(text: str, address: SshAddress) -> None:
    assert SshAddress.read(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "ssh://",
        "ssh:///run/docker.sock",
        "ssh://-oProxyCommand=id",
        "ssh://-l@host",
        "ssh://ops:hunter2@host",
        "ssh://host:port",
        "ssh://host:22:23",
        "ssh://ho st",
        "ssh://host?x",
        "ssh://host/a?b",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"ssh") as raised:
        SshAddress.read(text)
    assert "hunter2" not in str(raised.value)
