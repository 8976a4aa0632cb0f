"""A private server that speaks Vault's API: OpenBao, or the binary in ``$BRIDGE_TEST_VAULT``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import requests

from tests.support.processes import Server, eventually, free_port
from tests.support.requirements import vault_binary

Json = dict[str, Any]

_CONFIGURATION = """\
storage "raft" {{
  path = "{folder}/data"
  node_id = "{node}"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  {tls}
}}
api_addr = "{address}"
cluster_addr = "http://127.0.0.1:{cluster_port}"
disable_mlock = true
ui = false
"""


class VaultApi:
    """Vault's API as root uses it.

    Attributes:
        token: Root's.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.token = ""
        self._http = requests.Session()
        self._http.trust_env = False

    def call(self, method: str, path: str, body: Json | None = None, token: str = "") -> Json:
        """Send one request; raises for what is not a success."""
        headers = {"X-Vault-Token": token or self.token}
        url = f"{self.address}/v1/{path}"
        answer = self._http.request(method, url, json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def put(self, path: str, **body: Any) -> Json:
        """Write."""
        return self.call("PUT", path, body)

    def get(self, path: str) -> Json:
        """Read what an answer has as ``data``."""
        data: Json = self.call("GET", path)["data"]
        return data

    def snapshot(self) -> bytes:
        """Return everything that it stores."""
        return self._raw("GET", "sys/storage/raft/snapshot").content

    def restore(self, snapshot: bytes) -> None:
        """Bring everything back that a snapshot has, and nothing else."""
        self._raw("POST", "sys/storage/raft/snapshot-force", snapshot)
        eventually(self.is_active)

    def _raw(self, method: str, path: str, body: bytes | None = None) -> requests.Response:
        url, headers = f"{self.address}/v1/{path}", {"X-Vault-Token": self.token}
        answer = self._http.request(method, url, data=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer

    def serves(self) -> bool:
        """Tell whether it answers, by itself or by way of the active node."""
        try:
            place = f"{self.address}/v1/sys/health?standbyok=true&perfstandbyok=true"
            return bool(self._http.get(place, timeout=2).status_code == 200)
        except requests.RequestException:
            return False

    def is_active(self) -> bool:
        """Tell whether it is unsealed, and the active node."""
        return bool(self._http.get(f"{self.address}/v1/sys/health").status_code == 200)

    def mount_kv(self, mount: str, version: int = 2) -> None:
        """Mount a KV engine and wait until it takes writes: version 2 upgrades itself first."""
        self.put(f"sys/mounts/{mount}", type="kv", options={"version": str(version)})
        if version == 2:
            eventually(lambda: self.takes_writes(mount))

    def takes_writes(self, mount: str) -> bool:
        """Tell whether a KV engine of version 2 is through with upgrading itself."""
        try:
            self.get(f"{mount}/config")
        except requests.HTTPError:
            return False
        return True

    def unmount(self, mount: str) -> None:
        """Remove a mount with all below it."""
        self.call("DELETE", f"sys/mounts/{mount}")

    def write(self, mount: str, path: str, **fields: Any) -> int:
        """Write a version of a KV v2 path; returns its number."""
        answer = self.call("POST", f"{mount}/data/{path}", {"data": fields})
        return int(answer["data"]["version"])

    def policy(self, name: str, hcl: str) -> None:
        """Write a policy."""
        self.put(f"sys/policies/acl/{name}", policy=hcl)

    def make_approle(self, mount: str, *policies: str, **more: Any) -> tuple[str, str]:
        """Mount AppRole with one role, ``bridge``; returns its role id and a secret id."""
        self.put(f"sys/auth/{mount}", type="approle")
        self.put(f"auth/{mount}/role/bridge", token_policies=list(policies), **more)
        role_id: str = self.get(f"auth/{mount}/role/bridge/role-id")["role_id"]
        return role_id, self.make_secret_id(mount)

    def make_secret_id(self, mount: str) -> str:
        """Return a fresh secret id of the role ``bridge``."""
        answer = self.put(f"auth/{mount}/role/bridge/secret-id")
        secret_id: str = answer["data"]["secret_id"]
        return secret_id

    def make_wrapped_secret_id(self, mount: str) -> str:
        """Return a token that wraps a fresh secret id of the role ``bridge``."""
        url = f"{self.address}/v1/auth/{mount}/role/bridge/secret-id"
        headers = {"X-Vault-Token": self.token, "X-Vault-Wrap-TTL": "120"}
        answer = self._http.put(url, json={}, headers=headers, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["wrap_info"]["token"])

    def make_token(self, *policies: str, **more: Any) -> str:
        """Make a token; root's own policy where none is named."""
        body = {"policies": list(policies or ("root",)), **more}
        token: str = self.put("auth/token/create", **body)["auth"]["client_token"]
        return token


class VaultServer(VaultApi):
    """A server whose data outlive a stop; unsealed, with its root token in ``token``.

    Args:
        folder: For its data; made here.
        tls: Files of the listener's certificate and key, and of the CA; plain HTTP where absent.
        alone: Whether it is no node of a cluster, and so the active one whenever it serves.
        join: The first node of a cluster, which it joins.
    """

    def __init__(
        self,
        folder: Path,
        tls: tuple[Path, Path, Path] | None = None,
        *,
        alone: bool = True,
        join: VaultServer | None = None,
    ) -> None:
        folder.mkdir()
        self.folder = folder
        scheme = "https" if tls else "http"
        super().__init__(f"{scheme}://127.0.0.1:{free_port()}")
        self._key = ""
        self._join = join
        self._alone = alone
        listener = "tls_disable = true"
        if tls:
            self._http.verify = str(tls[2])
            listener = f'tls_cert_file = "{tls[0]}"\n  tls_key_file = "{tls[1]}"'
        self._server: Server | None = None
        (folder / "data").mkdir()
        (folder / "server.hcl").write_text(
            _CONFIGURATION.format(
                folder=folder,
                address=self.address,
                tls=listener,
                node=folder.name,
                port=self.address.rpartition(":")[2],
                cluster_port=free_port(),
            )
        )

    def start(self) -> None:
        """Start and unseal it; the first time it is initialized."""
        environ = {"HOME": str(self.folder), "PATH": os.environ["PATH"]}
        command = [str(vault_binary()), "server", f"-config={self.folder / 'server.hcl'}"]
        self._server = Server(command, self.folder / "log", environ)
        self._server.wait_until(self._answers)
        if self._join and not self._key:
            self.put("sys/storage/raft/join", leader_api_addr=self._join.address)
            self._key, self.token = self._join._key, self._join.token  # noqa: SLF001
        if not self._key:
            keys = self.put("sys/init", secret_shares=1, secret_threshold=1)
            self._key, self.token = keys["keys_base64"][0], keys["root_token"]
        self.unseal()

    def stop(self) -> None:
        """Kill it; ``start`` brings it back with its data."""
        if self._server:
            self._server.kill()
            self._server = None

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._http.close()

    def seal(self) -> None:
        """Seal it."""
        self.put("sys/seal")

    def unseal(self) -> None:
        """Unseal it and wait until it serves."""
        assert self._server
        self._server.wait_until(self._unsealed)
        self._server.wait_until(self.is_active if self._alone else self.serves)

    def _unsealed(self) -> bool:
        """Send the key; a node that has not joined yet does not take it."""
        try:
            self.put("sys/unseal", key=self._key)
        except requests.HTTPError:
            return False
        return True

    def _answers(self) -> bool:
        try:
            return bool(self._http.get(f"{self.address}/v1/sys/seal-status", timeout=5))
        except requests.ConnectionError:
            return False
