"""An application that logs in to PostgreSQL again and again, and writes down how each login went.

It runs by itself in a container: ``application.py CREDENTIAL RESULTS HOST PORT DATABASE PAUSE``.
The file CREDENTIAL is read once, at the start, as applications do. It is JSON with the fields
``username`` and ``password``, or a connection string, of which only these two are used.

RESULTS is a folder, where the file ``$TASK`` gets a line for each login. A line is a JSON array:
``["user", TIME, NAME]`` first, and then ``["ok", TIME]``, ``["refused", TIME, TEXT]`` or
``["other", TIME, TEXT]``. No text has the password.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

READY = Path("/tmp/ready")
"""It is there once a login was good."""

_PLAIN = "sslmode=disable gssencmode=disable connect_timeout=3"
"""One attempt for each login: with encryption at choice there may be two."""

_FATAL = re.compile(r"FATAL: +(.*)")
_SAID = (
    (r"password authentication failed for user ", "28P01"),
    (r'role ".*" does not exist', "28000"),
    (r'role ".*" is not permitted to log in', "28000"),
    (r"no pg_hba\.conf entry for ", "28000"),
    (r"the database system is ", "57P03"),
    (r"sorry, too many clients already", "53300"),
    (r"remaining connection slots are reserved ", "53300"),
    (r"too many connections for ", "53300"),
    (r'database ".*" does not exist', "3D000"),
    (r"permission denied for database ", "42501"),
    (r"terminating connection due to administrator command", "57P01"),
)
"""What PostgreSQL says in the locale C when it ends a login, and the SQLSTATE that it says it with.

libpq does not give the latter on.
"""


def sqlstate(error: psycopg.Error) -> str:
    """Return the SQLSTATE of what went wrong at a login; empty where no server gave any."""
    if error.sqlstate:
        return error.sqlstate
    found = _FATAL.search(str(error))
    if not found:
        return ""
    # A text that we do not know is still the server's answer, and no refusal.
    return next((code for text, code in _SAID if re.match(text, found[1])), "XX000")


def is_refusal(code: str) -> bool:
    """Tell whether a SQLSTATE says that the credential was not accepted."""
    return code.startswith("28")


def log_in(host: str, port: str, database: str, user: str, password: str) -> None:
    """Log in anew, ask something and leave; raises ``psycopg.Error``."""
    place = make_conninfo(_PLAIN, host=host, port=port, dbname=database)
    with psycopg.connect(place, user=user, password=password, autocommit=True) as connection:
        connection.execute("select 1")


def credential_in(text: str) -> tuple[str, str]:
    """Return the user and the password that a secret has."""
    fields = json.loads(text) if text.lstrip().startswith("{") else conninfo_to_dict(text)
    return str(fields.get("username") or fields["user"]), str(fields["password"])


class Results:
    """The file of the results. Each line is with the kernel before the next login begins."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, kind: str, *text: str) -> None:
        """Write a line."""
        line = json.dumps([kind, round(time.time(), 3), *text], separators=(",", ":"))
        os.write(self._file, line.encode() + b"\n")


def main(credential: str, results: str, host: str, port: str, database: str, pause: str) -> None:
    """Log in until SIGTERM. A login that has begun is written down still."""
    # A blocked signal waits for us, where the first process of a container would not get it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    file = Results(Path(results) / os.environ["TASK"])
    try:
        user, password = credential_in(Path(credential).read_text())
    except Exception as error:  # noqa: BLE001 - what it says may have the password
        file.add("other", f"the credential cannot be read: {type(error).__name__}")
        sys.exit(1)
    file.add("user", user)
    while True:
        try:
            log_in(host, port, database, user, password)
        except psycopg.Error as error:
            kind = "refused" if is_refusal(sqlstate(error)) else "other"
            said = str(error).replace(password, "***") if password else str(error)
            file.add(kind, said)
        else:
            file.add("ok")
            READY.touch()
        if signal.sigtimedwait({signal.SIGTERM}, float(pause)):
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
