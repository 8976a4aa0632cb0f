"""A private PostgreSQL server."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import uuid
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.sql import Composed

from tests.support.application import LoginFailed, log_in
from tests.support.processes import Server, free_port
from tests.support.requirements import postgres_programs

Row = tuple[Any, ...]

_USER = "postgres"
"""Of the machine, and the superuser of the server: it does not run as root."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "superuser_reserved_connections": "10",
    "fsync": "off",
    "lc_messages": "C",
    "log_connections": "on",
    "password_encryption": "md5",  # a login by SCRAM takes twice the time, and there are thousands
    "timezone": "UTC",
}


class Postgres:
    """A server whose data outlive a stop.

    Attributes:
        host, port: Where it listens; only logins by password are let in.
        sockets: The folder of its Unix socket, for containers.

    Args:
        folder: For its data; made here. The machine's user ``postgres`` must get there.
    """

    def __init__(self, folder: Path) -> None:
        programs = postgres_programs()
        assert programs, "there is no PostgreSQL"
        folder.mkdir()
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = free_port()
        self.sockets = folder / "sockets"
        self._data = folder / "data"
        self._programs = programs
        self._password = uuid.uuid4().hex
        self._server: Server | None = None
        self._make()

    def _make(self) -> None:
        user = pwd.getpwnam(_USER)
        for place, mode in ((self._data, 0o700), (self.sockets, 0o755)):
            place.mkdir()
            place.chmod(mode)
            os.chown(place, user.pw_uid, user.pw_gid)
        password = self.folder / "password"
        password.touch(0o600)
        os.chown(password, user.pw_uid, user.pw_gid)
        password.write_text(self._password)
        command = [
            *(*_as_user(), str(self._programs / "initdb"), f"--pgdata={self._data}"),
            *(f"--username={_USER}", f"--pwfile={password}", "--auth=md5"),
            *("--no-locale", "--encoding=UTF8", "--no-sync"),
        ]
        done = subprocess.run(
            command, cwd=self.folder, env=_environ(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stdout}{done.stderr}")
        password.unlink()

    def start(self) -> None:
        """Start it where it does not run, and wait until it serves."""
        if self._server and self._server.runs:
            return
        settings = {
            **_SETTINGS,
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        # As itself it may not look at the folder that we were started in.
        command = ["env", f"--chdir={self.folder}", *_as_user("--pdeathsig=QUIT")]
        command += [str(self._programs / "postgres"), "-D", str(self._data), *options]
        self._server = Server(command, self.folder / "log", _environ())
        self._server.wait_until(self.serves)

    def stop(self) -> None:
        """End it without a farewell; ``start`` brings it back with its data."""
        if self._server:
            # The quickest of its ways to end, which leaves no process and no shared memory behind.
            self._server.process.send_signal(signal.SIGQUIT)
            try:
                self._server.process.wait(30)
            except subprocess.TimeoutExpired:
                self._server.kill()
            self._server = None

    def environ(self) -> dict[str, str]:
        """Return the variables by which `psql` speaks to it as its superuser."""
        place = {"PGHOST": self.host, "PGPORT": str(self.port), "PGSSLMODE": "disable"}
        return {**place, "PGUSER": _USER, "PGPASSWORD": self._password}

    def close(self) -> None:
        """Stop it for good."""
        self.stop()

    def serves(self) -> bool:
        """Tell whether it lets the superuser in."""
        return not self.can_login(_USER, self._password)

    def execute(
        self, query: LiteralString | Composed, *args: Any, database: str = "postgres"
    ) -> None:
        """Execute a statement as the superuser, in a transaction of its own."""
        with self._connect(database) as connection:
            connection.execute(query, args or None)

    def rows(
        self, query: LiteralString | Composed, *args: Any, database: str = "postgres"
    ) -> list[Row]:
        """Return the rows that a query finds as the superuser."""
        with self._connect(database) as connection:
            return connection.execute(query, args or None).fetchall()

    def can_login(self, user: str, password: str, database: str = "postgres") -> str:
        """Log in; returns why not.

        Returns:
            Empty for a success, else the SQLSTATE, or ``unreachable``.
        """
        try:
            log_in(self.host, str(self.port), database, user, password)
        except LoginFailed as error:
            return error.code or "unreachable"
        return ""

    def _connect(self, database: str) -> psycopg.Connection[Row]:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=_USER,
            password=self._password,
            dbname=database,
            autocommit=True,
        )


def _as_user(*options: str) -> tuple[str, ...]:
    """Return what to put before a command that shall run as the machine's user ``postgres``.

    A change of the user takes back what should happen at our end: it is an option here again.
    """
    user = pwd.getpwnam(_USER)
    who = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups")
    return ("setpriv", *who, *options, "--")


def _environ() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C"}
