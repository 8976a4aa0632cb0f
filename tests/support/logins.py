"""A load of logins: a service whose tasks log in to PostgreSQL with what their secret's file has.

The tasks run ``application.py`` with this machine's Python, which they see read-only. The engine
must see the same files as we.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import application
from tests.support.database import Database
from tests.support.lab import Lab
from tests.support.postgres import Postgres
from tests.support.processes import PATIENCE, eventually

_NANO = 1_000_000_000
_RESULTS = "/results"
_SOCKETS = "/sockets"
_PROGRAM = "/application.py"
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")
_HEALTH = {
    "Test": [
        *("CMD", "sh", "-c"),
        f"test -e {application.READY} || exit 1; test ! -e /tmp/told || sleep 60; : >/tmp/told",
    ],
    "Interval": _NANO,
    "Timeout": 90 * _NANO,
    "Retries": 10,
}
"""A task runs for Swarm once it has logged in; after ten seconds in vain it has failed.

Once that is told a check takes a minute, in which it does nothing: one each second would take more
of the machine than the logins do.
"""


@dataclass(frozen=True, slots=True)
class Login:
    """One login.

    Attributes:
        task: The id of the task.
        time: When it was over, by the clock.
        kind: ``ok``, ``refused`` for a credential that was not accepted, or ``other``.
        text: What was said; never a password.
    """

    task: str
    user: str
    time: float
    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """How many logins went which way."""

    ok: int
    refused: int
    other: int


class LoginLoad:
    """A service whose tasks log in anew again and again with what they found at their start.

    It ends with the lab, like every service.

    Args:
        service: Its name, without the lab's prefix.
        secret: The whole name of the Docker secret that it begins with: JSON with ``username`` and
            ``password``, or a connection string.
        target: The secret's file.
        order: Of its updates.
        pause: Seconds between two logins of a task.
        healthcheck: Whether a task counts as running only once it has logged in.
        more: Further fields of ``Engine.create_service``.
    """

    def __init__(
        self,
        lab: Lab,
        postgres: Postgres,
        database: Database,
        service: str,
        *,
        secret: str,
        target: str = "db",
        replicas: int = 3,
        order: str = "start-first",
        pause: float = 0.1,
        healthcheck: bool = True,
        **more: Any,
    ) -> None:
        self._folder = lab.folder / f"logins-{service}"
        self._folder.mkdir()
        self._read: dict[str, int] = {}
        self._users: dict[str, str] = {}
        self._logins: list[Login] = []
        command = [
            *(sys.executable, "-I", "-B", _PROGRAM),
            *(f"/run/secrets/{target}", _RESULTS, _SOCKETS),
            *(str(postgres.port), database.name, str(pause)),
        ]
        lab.service(
            service,
            runs=False,
            replicas=replicas,
            command=command,
            secrets=[(secret, target)],
            update={"Order": order},
            Env=["TASK={{.Task.ID}}"],
            Mounts=_mounts(postgres.sockets, self._folder),
            **({"Healthcheck": _HEALTH} if healthcheck else {}),
            **more,
        )

    def logins(self) -> list[Login]:
        """Return every login so far, each task's in their order."""
        for file in self._folder.iterdir():
            self._go_on(file)
        return list(self._logins)

    def totals(self) -> Totals:
        """Count the logins so far."""
        kinds = [login.kind for login in self.logins()]
        return Totals(*(kinds.count(kind) for kind in ("ok", "refused", "other")))

    def refusals(self) -> list[Login]:
        """Return the logins whose credential was not accepted."""
        return [login for login in self.logins() if login.kind == "refused"]

    def others(self) -> list[Login]:
        """Return the logins that failed for any other reason."""
        return [login for login in self.logins() if login.kind == "other"]

    def users_seen(self) -> set[str]:
        """Return the users that have logged in."""
        return {login.user for login in self.logins() if login.kind == "ok"}

    def wait_for(self, number: int, seconds: float = PATIENCE) -> None:
        """Wait until so many logins were good."""
        eventually(lambda: self.totals().ok >= number, seconds)

    def _go_on(self, file: Path) -> None:
        """Read what a task has written since we looked; its last line may be half there."""
        with file.open("rb") as stream:
            stream.seek(self._read.get(file.name, 0))
            lines = stream.read().rpartition(b"\n")
        self._read[file.name] = self._read.get(file.name, 0) + len(lines[0] + lines[1])
        for line in lines[0].splitlines():
            kind, time, *text = json.loads(line)
            if kind == "user":
                self._users[file.name] = text[0]
            else:
                user = self._users.get(file.name, "")
                self._logins.append(Login(file.name, user, time, kind, *text))


def _mounts(sockets: Path, results: Path) -> list[dict[str, Any]]:
    """Return the mounts of a task: this machine's Python with all that it needs, and ours."""
    python = {sys.prefix, sys.base_prefix, *_SYSTEM}
    mounts = {path: path for path in python if Path(path).exists()}
    mounts |= {_PROGRAM: application.__file__, _SOCKETS: str(sockets)}
    read_only = [(source, target, True) for target, source in mounts.items()]
    return [
        {"Type": "bind", "Source": source, "Target": target, "ReadOnly": fixed}
        for source, target, fixed in [*read_only, (str(results), _RESULTS, False)]
    ]
