"""Scenes that the status page is looked at in.

What the servers show is made up; what is decided of it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.decide.cycle import decide
from bridge.model.cycle_report import CycleReport
from bridge.model.desired import Content, Desired, DesiredSecret, Format, Rollout
from bridge.model.desired import Mapping as ServiceMapping
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import ACCESSOR, ENDED, GOOD, LEASE, ROLE, ROLL, UNUSED, USER, labels_of
from bridge.model.leadership import Holder
from bridge.model.leased import GenerationView, Life, RoleDocument, StaticDocument, StaticRole
from bridge.model.memory import Memory
from bridge.model.reasons import Reason
from bridge.model.roll_record import RollRecord
from bridge.model.service import Kind, Reference, Service, Task, UpdateState
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.settings import DockerSettings, Settings, TokenFile, VaultSettings
from bridge.model.source import Source
from bridge.model.swarm_view import SwarmView
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import Document, KvDocument, KvVersion, Unreadable, VaultView
from bridge.model.vitals import Vitals
from bridge.model.wishes import Pause
from bridge.model.world import World
from bridge.report.answers import Known
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles

NOW = 1_800_000_000.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BORN = timestamp(NOW - 400 * DAY)
LEASE_ID, ACCESSOR_ID = "canary-lease-id", "canary-accessor"
"""What the page never shows."""

WRITER = "rotation-pipeline"

UI = "https://vault.example.net:8200"

SETTINGS = Settings(
    vault=VaultSettings(address=UI, auth=TokenFile("token"), ui_address=UI),
    docker=DockerSettings("unix:///var/run/docker.sock"),
)

SEALED = Unreadable(Reason.VAULT_UNREACHABLE, "Vault is sealed", everywhere=True)


def holder(host: str) -> Holder:
    """Return the bridge that leads, on a host."""
    at = timestamp(NOW)
    return Holder(id="1", host=host, process="", configuration="", at=at)


@dataclass
class Scene:
    """A world that is put together secret by secret."""

    secrets: list[DesiredSecret] = field(default_factory=list)
    docker: list[DockerSecret] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    paths: dict[Source, Document | Unreadable] = field(default_factory=dict)
    views: dict[str, GenerationView] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)

    @property
    def desired(self) -> Desired:
        """The configuration."""
        return Desired(
            instance="production", secrets=tuple(self.secrets), rollout=Rollout(bake=30.0)
        )

    def known(self, query: str = "", **more: Any) -> Known:
        """Return what a bridge knows that leads, and has just seen it and decided.

        Args:
            query: What somebody looks for on the page.
        """
        swarm = SwarmView(
            as_of=NOW - 1,
            secrets=tuple(self.docker),
            services=tuple(self.services.values()),
            tasks=tuple(self.tasks),
            pauses=self.pauses,
        )
        world = World(VaultView(as_of=NOW - 3, paths=self.paths, generations=self.views), swarm)
        plan = decide(self.desired, world, Memory(), NOW)
        report = CycleReport(at=NOW, took=0.1, world=world, plan=plan, holder=holder("manager-1"))
        known = Known(
            now=NOW,
            desired=self.desired,
            settings=SETTINGS,
            vitals=Vitals(at=0.0, cycles=9, vault=""),
            age=1.0,
            report=report,
            seen=report,
            query=query,
        )
        return replace(known, **more)

    # --- secrets ---------------------------------------------------------------------------------

    def kv(
        self,
        name: str,
        *services: str,
        current: int = 2,
        age: float = 12 * DAY,
        every: float = 30 * DAY,
        document: Document | Unreadable | None = None,
        mirrored: int | None = None,
        labels: Mapping[int, Mapping[str, str]] | None = None,
    ) -> None:
        """Add a secret at a KV path, whose last two versions are mirrored and good.

        Args:
            current: Vault's current version.
            age: How old it is, in seconds; those before it are each ``every`` seconds older.
            mirrored: The newest version that is mirrored; the current one by default.
            labels: Further labels by version; an empty value removes one.
        """
        path = KvPath("", "secret", f"apps/{name.replace('_', '/')}")
        made = {n: timestamp(NOW - age - (current - n) * every) for n in range(1, current + 1)}
        versions = {n: KvVersion(at, created_by=(("actor", WRITER),)) for n, at in made.items()}
        self.paths[path] = document or KvDocument(BORN, current, versions)
        self._want(
            DesiredSecret(
                name=name, source=path, content=Content(format=Format.RAW, field="value")
            ),
            services,
        )
        top = current if mirrored is None else mirrored
        for number in range(max(1, top - 2), top + 1):
            created = NOW - age - (current - number) * every
            own = {GOOD: timestamp(created + 95)} | self._records(services, created)
            if number < top:
                own |= {UNUSED: timestamp(created + every + 100)}
            identity = Identity(path, BORN, number, made[number])
            self._mirror(name, identity, created + 4, own | dict((labels or {}).get(number, {})))
        for service in services:
            self._refer(service, f"{name}_v{top}", name)

    def role(
        self,
        name: str,
        *services: str,
        left: float = 40 * MINUTE,
        generation: int = 14,
        user: str = "v-bridge-shop-x1",
    ) -> None:
        """Add a secret of a dynamic role, whose last two generations are known."""
        source = DatabaseRole("", "database", name)
        self.paths[source] = RoleDocument(HOUR, 30 * DAY)
        content = Content(format=Format.JSON)
        self._want(DesiredSecret(name=name, source=source, content=content), services)
        for number, age in ((generation - 1, 26 * DAY), (generation, 6 * DAY)):
            created = NOW - age
            own = {LEASE: f"database/creds/{name}/{LEASE_ID}-{number}", ROLE: name, USER: user}
            own |= {ACCESSOR: f"{ACCESSOR_ID}-{number}", GOOD: timestamp(created + 80)}
            own |= self._records(services, created)
            if number < generation:
                own |= {
                    ENDED: timestamp(NOW - 6 * DAY + 190),
                    UNUSED: timestamp(NOW - 6 * DAY + 90),
                }
            identity = Identity(source, ONE_LIFE, number, timestamp(created))
            self._mirror(name, identity, created + 1, own)
        lease = Life(started=NOW - 6 * DAY, ends=NOW + left, granted=HOUR, renewed=True)
        token = Life(
            started=NOW - 6 * DAY,
            ends=NOW + 30 * DAY,
            granted=31 * DAY,
            renewed=True,
            period=31 * DAY,
        )
        self.views[f"id-{name}_v{generation}"] = GenerationView(NOW - 3, lease, token)
        for service in services:
            self._refer(service, f"{name}_v{generation}", name)

    def static(self, name: str, *services: str) -> None:
        """Add a secret of two static roles in turn."""
        source = StaticRoles("", "database", (f"{name}_a", f"{name}_b"))
        rotated = timestamp(NOW - 9 * DAY)
        roles = {
            f"{name}_a": StaticRole(rotated, 90 * DAY),
            f"{name}_b": StaticRole(rotated, 90 * DAY),
        }
        self.paths[source] = StaticDocument(roles)
        self._want(
            DesiredSecret(name=name, source=source, content=Content(format=Format.JSON)), services
        )
        own = {ROLE: f"{name}_a", GOOD: timestamp(NOW - 9 * DAY + 60)}
        self._mirror(name, Identity(source, ONE_LIFE, 3, rotated), NOW - 9 * DAY + 1, own)
        for service in services:
            self._refer(service, f"{name}_v3", name)

    # --- what happens ----------------------------------------------------------------------------

    def roll(self, name: str, service: str, version: int, done: int, *, at: float = 40.0) -> None:
        """Let a service be rolled to a version, with so many of its tasks replaced.

        Args:
            at: How many seconds ago it began.
        """
        former = self.services[service]
        old = next(ref for ref in former.references if ref.secret_name.startswith(f"{name}_v"))
        new = replace(old, secret_id=f"id-{name}_v{version}", secret_name=f"{name}_v{version}")
        references = tuple(new if ref == old else ref for ref in former.references)
        self.services[service] = replace(
            former,
            references=references,
            previous=former.secret_ids,
            update=UpdateState.UPDATING,
            update_started=NOW - at,
            index=former.index + 1,
        )
        record = RollRecord(
            before=(old.write(),), index=former.index, at=timestamp(NOW - at), started=1.0
        )
        for n, secret in enumerate(self.docker):
            if secret.name == f"{name}_v{version}":
                labels = {**secret.labels, f"{ROLL}{former.id}": record.write()}
                self.docker[n] = replace(secret, labels=labels)
        own = [task for task in self.tasks if task.service_id == former.id]
        ids = self.services[service].secret_ids
        for task in own[:done]:
            self.tasks[self.tasks.index(task)] = replace(task, secret_ids=ids, seen=NOW - 5)
        if done < len(own):
            started = replace(own[done], id=f"{former.id}.new", state="starting", secret_ids=ids)
            self.tasks[self.tasks.index(own[done])] = replace(own[done], desired_state="shutdown")
            self.tasks.append(replace(started, seen=NOW - 2))

    # --- the parts -------------------------------------------------------------------------------

    def _want(self, secret: DesiredSecret, services: tuple[str, ...]) -> None:
        self.secrets.append(replace(secret, services=tuple(ServiceMapping(s) for s in services)))

    def _mirror(self, name: str, identity: Identity, made: float, own: Mapping[str, str]) -> None:
        labels = labels_of("production", name, identity) | dict(own)
        docker_name = f"{name}_v{identity.version}"
        kept = {key: value for key, value in labels.items() if value}
        self.docker.append(DockerSecret(f"id-{docker_name}", docker_name, made, kept))

    def _records(self, services: tuple[str, ...], created: float) -> dict[str, str]:
        found = {}
        for n, service in enumerate(services):
            at, done = timestamp(created + 6 + 20 * n), timestamp(created + 40 + 20 * n)
            record = RollRecord(before=(), index=1, at=at, done=done)
            found[f"{ROLL}id-{service}"] = record.write()
        return found

    def _refer(self, service: str, docker_name: str, target: str) -> None:
        reference = Reference(
            secret_id=f"id-{docker_name}", secret_name=docker_name, file_name=target
        )
        known = self.services.get(service)
        if known is None:
            known = Service(
                id=f"id-{service}",
                name=service,
                index=10,
                kind=Kind.REPLICATED,
                references=(),
                previous=None,
                desired_tasks=4 if service.endswith("api") else 2,
                update_started=NOW - 6 * DAY,
                monitor=1.0,
            )
        known = replace(known, references=(*known.references, reference))
        self.services[service] = known
        self.tasks = [task for task in self.tasks if task.service_id != known.id]
        self.tasks += [
            Task(
                id=f"{known.id}.{n}",
                service_id=known.id,
                state="running",
                desired_state="running",
                secret_ids=known.secret_ids,
                seen=NOW - 5 * DAY,
            )
            for n in range(known.desired_tasks)
        ]


def fine() -> Scene:
    """Return a dozen secrets of all kinds, all well."""
    scene = Scene()
    scene.kv("shop_session_key", "shop_api", "shop_web", current=7, age=12 * DAY)
    scene.kv("shop_stripe_token", "shop_api", "shop_worker", current=4, age=41 * DAY)
    scene.role("shop_db", "shop_api", "shop_worker")
    scene.kv("shop_smtp_password", "shop_worker", current=2, age=3 * HOUR)
    scene.static("billing_db", "billing_api", "billing_worker")
    scene.kv("billing_invoice_signing_key", "billing_api", current=11, age=2 * DAY)
    scene.role("ledger_db", "ledger_api", left=22 * MINUTE, generation=31)
    scene.kv("ledger_hsm_pin", "ledger_api", current=2, age=88 * DAY)
    scene.kv("search_elastic_password", *(f"search_{n}" for n in range(12)), current=3, age=9 * DAY)
    scene.kv("edge_tls_key", "edge_proxy", current=19, age=19 * HOUR)
    scene.kv("edge_ca_bundle", "edge_proxy", current=5, age=130 * DAY)
    scene.kv("grafana_oidc_secret", "grafana", current=2, age=25 * DAY)
    return scene


def rolling() -> Scene:
    """Return what is fine, while one secret is rolled and another was just written."""
    scene = fine()
    new = {GOOD: "", f"{ROLL}id-shop_api": "", f"{ROLL}id-shop_worker": ""}
    scene.kv(
        "shop_db_password",
        "shop_api",
        "shop_worker",
        current=8,
        age=48.0,
        labels={8: new, 7: {UNUSED: ""}},
    )
    old = "shop_db_password_v7"
    for service in ("shop_api", "shop_worker"):
        former = scene.services[service]
        ref = next(r for r in former.references if r.secret_name == "shop_db_password_v8")
        back = replace(ref, secret_id=f"id-{old}", secret_name=old)
        changed = tuple(back if r == ref else r for r in former.references)
        scene.services[service] = replace(former, references=changed)
        ids = scene.services[service].secret_ids
        scene.tasks = [
            replace(t, secret_ids=ids) if t.service_id == former.id else t for t in scene.tasks
        ]
    scene.roll("shop_db_password", "shop_api", 8, done=2)
    return scene


def failed() -> Scene:
    """Return secrets of which some failed, are held, or are paused."""
    scene = rolling()
    error = 'task: non-zero exit (1): FATAL: password authentication failed for user "report"'
    mark = SetAside(By.FAILURE, timestamp(NOW - 9 * MINUTE), error)
    scene.kv(
        "report_db_password",
        "report_worker",
        current=5,
        age=10 * MINUTE,
        mirrored=5,
        labels={5: {GOOD: "", aside_label("id-report_worker"): mark.write()}, 4: {UNUSED: ""}},
    )
    former = scene.services["report_worker"]
    old = tuple(
        replace(r, secret_id="id-report_db_password_v4", secret_name="report_db_password_v4")
        for r in former.references
    )
    scene.services["report_worker"] = replace(
        former, references=old, update=UpdateState.ROLLBACK_COMPLETED
    )
    ids = scene.services["report_worker"].secret_ids
    scene.tasks = [
        replace(t, secret_ids=ids) if t.service_id == former.id else t for t in scene.tasks
    ]
    denied = Unreadable(
        Reason.PERMISSION_DENIED,
        "403 on `secret/data/apps/partner/api/key`: our policy has no `read`",
    )
    scene.kv("partner_api_key", "partner_gateway", current=3, age=60 * DAY, document=denied)
    scene.kv("legacy_ftp_password", "legacy_sync", current=6, age=200 * DAY)
    scene.pauses["legacy_ftp_password"] = Pause(
        timestamp(NOW - 2 * DAY), "partner moves hosts until Friday, ask Dana (CHG-4711)", "dana"
    )
    scene.kv("feature_flags_token", "shop_web", "no_such_service", current=2, age=4 * DAY)
    scene.services.pop("no_such_service")
    scene.tasks = [task for task in scene.tasks if task.service_id != "id-no_such_service"]
    return scene


def sealed() -> Scene:
    """Return what is fine, but for Vault, which is sealed."""
    scene = fine()
    scene.paths = dict.fromkeys(scene.paths, SEALED)
    return scene


def many(count: int = 1000) -> Scene:
    """Return so many secrets, most of them well."""
    scene = Scene()
    teams = ("shop", "billing", "ledger", "search", "edge", "media", "auth", "report")
    whats = ("db_password", "api_key", "signing_key", "smtp_password", "oidc_secret")
    denied = Unreadable(Reason.PERMISSION_DENIED, "403 on its path: our policy has no `read`")
    for n in range(count):
        team, what = teams[n % len(teams)], whats[n // len(teams) % len(whats)]
        services = tuple(
            f"{team}_{part}_{n % 7}" for part in ("api", "worker", "cron")[: 1 + n % 3]
        )
        scene.kv(
            f"{team}_{what}_{n:04d}",
            *services,
            current=2 + n % 9,
            age=(1 + n % 90) * DAY,
            document=denied if n % 167 == 3 else None,
        )
    return scene


def empty() -> Scene:
    """Return a configuration without a secret."""
    return Scene()


def starting() -> Known:
    """Return what a bridge knows that has just begun."""
    known = fine().known(report=None, seen=None)
    return replace(known, vitals=Vitals(at=0.0))


def standing_by() -> Known:
    """Return what a bridge knows while another one leads."""
    report = CycleReport(at=NOW, took=0.1, leader="manager-2", holder=holder("manager-2"))
    known = fine().known(report=report, seen=None)
    return replace(known, vitals=Vitals(at=0.0, cycles=9, leader="manager-2"))


def unfit() -> Known:
    """Return what a bridge knows that was started with a credential that Vault refuses."""
    known = standing_by()
    return replace(known, vitals=replace(known.vitals, unfit="its credential cannot be used"))


def without_swarm(*, seen: bool = True) -> Known:
    """Return what a bridge knows that cannot see the swarm, and did see it before or never."""
    known = fine().known()
    trouble = "the swarm gives no answer: connection refused"
    report = CycleReport(at=NOW, took=0.1, trouble=trouble)
    vitals = Vitals(at=0.0, cycles=9 if seen else 0, trouble=trouble)
    return replace(
        known, now=NOW + 3 * MINUTE, report=report, seen=known.seen if seen else None, vitals=vitals
    )
