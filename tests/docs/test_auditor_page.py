"""The page for auditors, from its first line to its last, by somebody who has nothing but it."""

from __future__ import annotations

import json
import re
import textwrap

from demo.scene import Scene
from tests.docs.pages import bash, instead, script_of
from tests.support.lab import ROOT

_PAGE = "docs/how-to/what-an-auditor-asks.md"
_CONFIG = """\
vault: {{address: "{address}", auth: {{method: token, token_file: token}}}}
rollout: {{bake: 1s}}
secrets:
  shop_db:
    kv: {{mount: secret, path: shop/db, field: password}}
    max_age: 90d
    services: {{shop_api: {{target: db_password, mode: "0444"}}}}
"""


def test_what_an_auditor_asks(quick: Scene) -> None:
    (audit,) = re.findall(r"```yaml\n(.*?)```", (ROOT / _PAGE).read_text(), re.DOTALL)
    audit = instead(audit, {"/var/lib/vault-bridge/": ""})
    quick.vault.write("secret", "shop/db", password="first")
    (quick.folder / "token").write_text(quick.vault.token)
    plain = _CONFIG.format(address=quick.vault.address)
    quick.config.write_text(plain + textwrap.dedent(audit))
    environ = {**quick.environ(), "BRIDGE_CONFIG": str(quick.config)}

    bash(script_of(_PAGE, "Turn it on"), quick.folder, environ)
    assert "transit/sign/swarm-bridge-audit" in bash("vault-bridge policy", quick.folder, environ)
    bash("vault-bridge sync", quick.folder, environ)
    quick.vault.write("secret", "shop/db", password="second")
    bash("vault-bridge sync", quick.folder, environ)

    rest = [
        "Is the evidence whole?",
        "How often was a secret rotated, and is that what the policy asks for?",
        "Who changed this secret?",
    ]
    said = bash(script_of(_PAGE, *rest), quick.folder, environ)
    found = json.loads(said[said.index("{\n") :])
    assert found["whole"]
    assert {record["version"] for record in found["records"] if "version" in record} == {1, 2}
    page = (quick.folder / "rotations-q3.md").read_text()
    assert "## Is the evidence whole?" in page
    whole = bash("vault-bridge evidence --report", quick.folder, environ)
    assert "Policy: `max_age` 90d. 2 rotations." in whole
    assert "version 2 in Vault" in whole
