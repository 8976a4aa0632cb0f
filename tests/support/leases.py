"""A leased secret in a test's corner: granted what ``vault-bridge policy`` prints, and no more."""

from __future__ import annotations

import json
from typing import Any

from tests.support.database import Database
from tests.support.lab import Json, Lab
from tests.support.logins import LoginLoad
from tests.support.postgres import Postgres
from tests.support.processes import eventually

PATH = "db"
"""The KV path of what a pipeline writes."""

ASKS = "rotate/db"
"""The KV path whose new versions ask for rotations."""


class LeasedDatabase:
    """The secret ``db``, a generation of the role ``app``, on the services that are named.

    The bridge logs in by AppRole with a token that ends after seconds, so that nothing can rest on
    it. Ids of leases and accessors are canaries, as values are.

    Args:
        custody: Whether a token role makes the custody; else each is a login of its own.
        period: Of these logins.
        static: Static roles in place of the dynamic one.
        pipeline: Whether credentials come from a KV path that names their leases.
        lease: Rules besides ``grace`` and ``rotate_on``.
        rollout: Settings besides the quick ones.
    """

    def __init__(
        self,
        lab: Lab,
        postgres: Postgres,
        database: Database,
        *,
        services: tuple[str, ...] = ("api",),
        default_ttl: str = "60s",
        max_ttl: str = "1h",
        provisional_ttl: str = "15s",
        custody: bool = True,
        period: str = "60s",
        static: tuple[str, ...] = (),
        pipeline: bool = False,
        lease: Json | None = None,
        rollout: Json | None = None,
        **settings: Any,
    ) -> None:
        self.lab = lab
        self.postgres = postgres
        self.database = database
        self.mount = f"approle-{lab.prefix}x"
        self._role_id, self._secret_id = lab.folder / "role_id", lab.folder / "secret_id"
        lab.vault.write(lab.mount, ASKS, why="it begins")
        for role in static:
            database.static_role(role)
        if not static:
            database.role("app", default_ttl=default_ttl, max_ttl=max_ttl)
        self.token_role = lab.name("custody")
        vault: Json = {
            "address": lab.vault_address,
            "auth": {
                "method": "approle",
                "mount": self.mount,
                "role_id_file": str(self._role_id),
                "secret_id_file": str(self._secret_id),
            },
            "max_rps": 1000,
        }
        if custody:
            vault["custody"] = {"token_role": self.token_role, "provisional_ttl": provisional_ttl}
        lab.settings(
            vault=vault,
            rollout={"bake": "1s", "max_in_flight": 3, "timeout": "60s", **(rollout or {})},
            **settings,
        )
        files = {service: {"target": "db"} for service in services}
        if pipeline:
            lab.secret("db", files, kv={"path": PATH, "lease": self._fields()}, format="json")
            lab.vault.policy(lab.name("creds"), self._may_read())
            self._grant("")
            return
        lab.leased(
            "db",
            files,
            {"mount": database.mount, "roles": list(static)}
            if static
            else {"mount": database.mount, "role": "app"},
            lease={
                "grace": "1s",
                "rotate_on": {"mount": lab.mount, "path": ASKS},
                **(lease or {}),
            },
        )
        self._grant("" if custody else period)

    def _grant(self, period: str) -> None:
        """Write exactly the policies that the bridge prints, and log in with them."""
        vault, lab = self.lab.vault, self.lab
        policies = lab.json("policy")["policies"]
        names = {name: lab.name(name) for name in policies}
        for name, hcl in policies.items():
            # The role's own name is the test's; the policy printed is for the name that it prints.
            vault.policy(names[name], hcl.replace("role/swarm-bridge/", "role/bridge/"))
        life = {"token_period": period} if period else {"token_ttl": "20s"}
        role_id, secret_id = vault.make_approle(
            self.mount,
            names["swarm-bridge"],
            token_no_default_policy=True,
            token_type="service",
            **life,
        )
        self._role_id.write_text(role_id)
        self._secret_id.write_text(secret_id)
        if not period:
            vault.put(
                f"auth/token/roles/{self.token_role}",
                allowed_policies=[names.get("swarm-bridge-custody", lab.name("creds"))],
                orphan=True,
                renewable=True,
                token_type="service",
                token_no_default_policy=True,
            )

    def _fields(self) -> Json:
        role = {"mount": self.database.mount, "role": "app"}
        return {"id_field": "lease_id", "accessor_field": "accessor", **role}

    def _may_read(self) -> str:
        return f'path "{self.database.mount}/creds/app" {{ capabilities = ["read"] }}'

    def close(self) -> None:
        """Take the login away; what the labels say of leases becomes canaries."""
        self.note_canaries()
        self.lab.vault.call("DELETE", f"sys/auth/{self.mount}")
        self.lab.vault.call("DELETE", f"auth/token/roles/{self.token_role}")

    def note_canaries(self) -> None:
        """Let the ids and accessors that the labels have now be looked for in all that was said."""
        for labels in self.labels().values():
            for key in ("lease", "accessor"):
                if key in labels:
                    self.lab.canaries.append(labels[key].rpartition("/")[2])

    # --- what is there ---------------------------------------------------------------------------

    def labels(self) -> dict[int, dict[str, str]]:
        """Return the labels of each generation, without their prefix."""
        found, start = {}, self.lab.name("db_v")
        for secret in self.lab.swarm.call("GET", "/secrets"):
            if secret["Spec"]["Name"].startswith(start):
                version = int(secret["Spec"]["Name"].removeprefix(start))
                raw = secret["Spec"]["Labels"]
                found[version] = {k.removeprefix("vault-bridge."): v for k, v in raw.items()}
        return found

    def lease(self, version: int) -> str:
        """Return the id of a generation's lease."""
        return self.labels()[version]["lease"]

    def refers_to(self, service: str = "api") -> int:
        """Return the generation that a service's Spec refers to."""
        (name,) = self.lab.swarm.references(self.lab.name(service)).values()
        return int(name.removeprefix(self.lab.name("db_v")))

    def credential(self, service: str = "api") -> tuple[str, str]:
        """Return user and password that a task of a service has."""
        name = self.lab.name(service)
        eventually(lambda: bool(self.lab.swarm.tasks(name)))  # one runs once it is healthy
        found = json.loads(self.lab.swarm.read(name, "db")[0])
        self.lab.canaries.append(found["password"])
        return found["username"], found["password"]

    def can_login(self, credential: tuple[str, str]) -> bool:
        """Tell whether a credential is valid."""
        return not self.postgres.can_login(*credential, database=self.database.name)

    def users(self) -> set[str]:
        """Return the users that the role has made and that are there."""
        return self.database.users()

    def newest(self) -> int:
        """Return the number of the newest generation."""
        return max(self.lab.versions("db"), default=0)

    def is_settled_on(self, version: int) -> bool:
        """Tell whether a generation is good and the only one whose credential is left."""
        labels = self.labels()
        others = [old for v, old in labels.items() if v != version and "ended" not in old]
        return version in labels and "good" in labels[version] and not others

    def settle_on(self, version: int) -> None:
        """Wait for that."""
        eventually(lambda: self.is_settled_on(version))

    def renew_secret_id(self) -> None:
        """Let the bridge log in with a fresh secret id."""
        secret_id = self.lab.vault.make_secret_id(self.mount)
        self.lab.canaries.append(secret_id)
        self._secret_id.write_text(secret_id)

    # --- what people do --------------------------------------------------------------------------

    def ask(self) -> None:
        """Ask for a rotation, from Vault alone."""
        self.lab.vault.write(self.lab.mount, ASKS, why="somebody asked")

    def write(self, **instead: str) -> Json:
        """Do what a pipeline does: have a credential made, and write it with its lease into KV.

        Args:
            instead: Fields that say something else.
        """
        vault, name = self.lab.vault, self.lab.name
        meta = {"bridge": name("bridge"), "secret": name("db")}
        place = f"auth/token/create/{self.token_role}"
        custody = vault.call("POST", place, {"ttl": "60s", "meta": meta})["auth"]
        place = f"{self.database.mount}/creds/app"
        issued = vault.call("GET", place, token=custody["client_token"])
        fields = {
            **issued["data"],
            "lease_id": issued["lease_id"],
            "accessor": custody["accessor"],
            **instead,
        }
        self.lab.canaries += [fields["password"], custody["accessor"]]
        self.lab.canaries.append(issued["lease_id"].rpartition("/")[2])
        vault.write(self.lab.mount, PATH, **fields)
        return fields

    def first(self) -> None:
        """Have the first generation made, before there is any service.

        Nobody renews its lease until a bridge runs. One of a few seconds wants that next, before a
        service is waited for.
        """
        with self.lab.loop() as loop:
            loop.sync(30.0)
        assert self.newest() == 1

    def load(self, service: str = "api", **more: Any) -> LoginLoad:
        """Start a service that logs in again and again with the first generation."""
        newest = self.lab.name(f"db_v{self.newest()}")
        load = LoginLoad(self.lab, self.postgres, self.database, service, secret=newest, **more)
        load.wait_for(1)
        eventually(lambda: self.lab.name(service) not in self.lab.swarm.short_of_tasks())
        return load
