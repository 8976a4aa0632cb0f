"""The stack that the bridge runs as, with the names of a first configuration filled in."""

from __future__ import annotations

import re
from importlib import resources

from bridge.report.first_config import CREDENTIALS, Answers, scalar
from bridge.report.policy import NAME

PREFIX = "vault_"
"""What the names of the bridge's own Docker secrets begin with."""

_INSIDE = re.compile(r"(?:^      - \{source: vault_(?:role_id|secret_id), .*\n)+", re.MULTILINE)
_CA = re.compile(r"^      - \{source: vault_ca, .*\n", re.MULTILINE)
_OUTSIDE = re.compile(r"(?:^  vault_\w+: \{external: true\}\n)+", re.MULTILINE)
_FOR_OUR_USER = 'uid: "65532", gid: "65532", mode: 0400'


def template() -> str:
    """Return the stack as it is documented: for a login by AppRole, and a private CA."""
    return resources.files("bridge.report").joinpath("stack.yml").read_text(encoding="utf-8")


def docker_secrets(answers: Answers, prefix: str = PREFIX) -> dict[str, str]:
    """Return the bridge's own Docker secrets: what each one is, and its name in the swarm."""
    parts = [what for _, what in CREDENTIALS[answers.method]]
    return {what: f"{prefix}{what}" for what in [*parts, *(["ca"] if answers.ca else [])]}


def stack(answers: Answers, prefix: str = PREFIX, config: str = "bridge.yaml") -> str:
    """Return the stack for these answers.

    Args:
        prefix: What the names of the bridge's own Docker secrets begin with.
        config: Name of the configuration file, which lies beside the stack's.
    """
    names = docker_secrets(answers, prefix)
    inside = "".join(
        f"      - {{source: vault_{what}, target: {what}, {_FOR_OUR_USER}}}\n"
        for what in names
        if what != "ca"
    )
    outside = "".join(
        f"  vault_{what}: {{external: true{_named(what, name)}}}\n" for what, name in names.items()
    )
    text = _INSIDE.sub(lambda _: inside, template())
    text = text if answers.ca else _CA.sub("", text)
    text = _OUTSIDE.sub(lambda _: outside, text)
    text = text.replace("file: ./bridge.yaml", f"file: {scalar(f'./{config}')}")
    if answers.instance != "default":
        text = text.replace("name: vault-bridge_", f"name: vault-bridge_{answers.instance}_")
    return text


def _named(what: str, name: str) -> str:
    return "" if name == f"{PREFIX}{what}" else f", name: {scalar(name)}"


def secret_commands(answers: Answers, prefix: str = PREFIX) -> tuple[str, ...]:
    """Return the commands that make the bridge's own Docker secrets, without any value."""
    role = f"auth/{answers.auth_mount or 'approle'}/role/{NAME}"
    makers = {
        "role_id": f"vault read -field=role_id {role}/role-id | docker secret create {{}} -",
        "secret_id": f"vault write -f -field=secret_id {role}/secret-id"
        " | docker secret create {} -",
        "ca": f"docker secret create {{}} {answers.ca}",
    }
    names = docker_secrets(answers, prefix)
    default = "docker secret create {} FILE"
    return tuple(makers.get(what, default).format(name) for what, name in names.items())
