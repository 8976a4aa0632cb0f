"""An application that logs in to PostgreSQL again and again, and writes down how each login went.

It runs by itself in a container: ``application.py CREDENTIAL RESULTS HOST PORT DATABASE PAUSE``.
The file CREDENTIAL is read once, at the start, as applications do. It is JSON with the fields
``username`` and ``password``, or a connection string, of which only these two are used.

RESULTS is a folder, where the file ``$TASK`` gets a line for each login. A line is a JSON array:
``["user", TIME, NAME]`` first, and then ``["ok", TIME]``, ``["refused", TIME, TEXT]`` or
``["other", TIME, TEXT]``. No text has the password.

It speaks to libpq itself: many of these are started, and psycopg takes five times as long to import
as all the rest.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

READY = Path("/tmp/ready")
"""It is there once a login was good."""

_PLAIN = {"sslmode": "disable", "gssencmode": "disable", "connect_timeout": "3"}
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


class LoginFailed(Exception):
    """A login that was not good.

    Attributes:
        code: The SQLSTATE of what went wrong; empty where no server gave any.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = _FATAL.search(text)
        # A text that we do not know is still the server's answer, and no refusal.
        codes = (code for known, code in _SAID if found and re.match(known, found[1]))
        self.code = next(codes, "XX000") if found else ""


def is_refusal(code: str) -> bool:
    """Tell whether a SQLSTATE says that the credential was not accepted."""
    return code.startswith("28")


class _Option(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("keyword", "variable", "compiled", "value")),
        *(("label", ctypes.c_char_p), ("display", ctypes.c_char_p), ("size", ctypes.c_int)),
    )


def _load() -> Any:
    """Load libpq: the one that psycopg brings, else the machine's."""
    brought = Path(sys.prefix).glob("lib/python*/site-packages/psycopg_binary.libs/libpq-*.so*")
    library = ctypes.CDLL(str(next(brought, ctypes.util.find_library("pq"))))
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, answers, takes in (
        ("PQconnectdbParams", pointer, [ctypes.POINTER(text), ctypes.POINTER(text), ctypes.c_int]),
        ("PQstatus", ctypes.c_int, [pointer]),
        ("PQerrorMessage", text, [pointer]),
        ("PQexec", pointer, [pointer, text]),
        ("PQresultStatus", ctypes.c_int, [pointer]),
        ("PQclear", None, [pointer]),
        ("PQfinish", None, [pointer]),
        ("PQconninfoParse", ctypes.POINTER(_Option), [text, ctypes.POINTER(text)]),
        ("PQconninfoFree", None, [ctypes.POINTER(_Option)]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = answers, takes
    return library


_LIBPQ = _load()
_CONNECTED = 0
_HAS_ROWS = 2


@contextmanager
def _connection(**options: str) -> Iterator[Any]:
    names = [*map(str.encode, options), None]
    values = [*map(str.encode, options.values()), None]
    array = ctypes.c_char_p * len(names)
    made = _LIBPQ.PQconnectdbParams(array(*names), array(*values), 0)
    try:
        yield made
    finally:
        _LIBPQ.PQfinish(made)


def log_in(host: str, port: str, database: str, user: str, password: str) -> None:
    """Log in anew, ask something and leave. Raises ``LoginFailed``."""
    place = {"host": host, "port": port, "dbname": database}
    with _connection(**_PLAIN, **place, user=user, password=password) as connection:
        good = _LIBPQ.PQstatus(connection) == _CONNECTED
        if good:
            result = _LIBPQ.PQexec(connection, b"select 1")
            good = _LIBPQ.PQresultStatus(result) == _HAS_ROWS
            _LIBPQ.PQclear(result)
        if not good:
            raise LoginFailed(_LIBPQ.PQerrorMessage(connection).decode(errors="replace"))


def credential_in(text: str) -> tuple[str, str]:
    """Return the user and the password that a secret has."""
    fields = json.loads(text) if text.lstrip().startswith("{") else _parts_of(text)
    return str(fields.get("username") or fields["user"]), str(fields["password"])


def _parts_of(text: str) -> dict[str, str]:
    """Return what a connection string says. Raises ``ValueError``, without the string."""
    options = _LIBPQ.PQconninfoParse(text.strip().encode(), None)
    if not options:
        raise ValueError("not a connection string")
    found = {}
    for option in options:
        if option.keyword is None:
            break
        if option.value is not None:
            found[option.keyword.decode()] = option.value.decode()
    _LIBPQ.PQconninfoFree(options)
    return found


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
        except LoginFailed as error:
            kind = "refused" if is_refusal(error.code) else "other"
            said = str(error).replace(password, "***") if password else str(error)
            file.add(kind, said)
        else:
            file.add("ok")
            READY.touch()
        if signal.sigtimedwait({signal.SIGTERM}, float(pause)):
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
