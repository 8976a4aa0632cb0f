"""Logs: JSON lines, or words where a person looks at a terminal. ``model/events`` has their table.

structlog is imported with the first line that is logged: that takes longer than most commands run
that have nothing to log.

No local variable is ever printed with a traceback (I6): structlog's usual recipes do that, and so
does its console where rich is installed. Nor is the message of an error that nobody expected.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast


def where(error: BaseException) -> str:
    """Name an unexpected error by its kind and the places it came through.

    Its message is left out: that of a library may quote a value (I6).
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"{type(error).__name__} at {places}"


class _Unfailing:
    """A stream for the log: what cannot be written is lost, and nobody else notices.

    A full disk or a reader that went away must not stop a rotation.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the latter where it is closed
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def let_go() -> None:
    """Drop what of the log could not be written, at the end of the process.

    Python would try once more to write it, fail, and exit with 120 in place of what was done.
    """
    try:
        sys.stderr.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}
"""The levels of ``--log-level``, by name."""

FORMATS = ("json", "text")
"""The formats of ``--log-format``."""


def configure(
    stream: TextIO | None = None,
    *,
    level: str = "",
    quiet: bool = False,
    form: str = "",
) -> None:
    """Set logging up for the process.

    Args:
        level: One of ``LEVELS``; empty for ``info``, which counts as not asked for.
        quiet: Log nothing on a terminal, where a command shows its progress in its own words,
            unless a level or a format was asked for.
        form: One of ``FORMATS``; empty for text on a terminal and JSON elsewhere.
    """
    stream = stream or sys.stderr
    unfailing = cast("TextIO", _Unfailing(stream))
    number = LEVELS[level or "info"]
    if quiet and stream.isatty() and not (level or form):
        number = logging.CRITICAL
    in_words = form == "text" or (stream.isatty() and not form)
    colours = stream.isatty() and "NO_COLOR" not in os.environ
    with _lock:
        _asked[:] = [lambda: _set_up(unfailing, number, in_words=in_words, colours=colours)]
    # The SDKs log requests, never answers, and even those only where somebody asks for them.
    logging.basicConfig(level=logging.ERROR, stream=unfailing, force=True)


def identify(instance: str, bridge: str) -> None:
    """Let each line from now on have these as ``instance`` and ``bridge``, from every thread."""
    _own.update(instance=instance, bridge=bridge)


def _add_own(_logger: object, _method: str, line: Any) -> Any:
    return {**_own, **line}


def logger() -> Any:
    """Return the bridge's log: a structlog logger, which is made with its first line."""
    return _Logger()


class _Logger:
    def __getattr__(self, name: str) -> Any:
        import structlog

        with _lock:
            while _asked:
                _asked.pop()()
        return getattr(structlog.get_logger("bridge"), name)


_own: dict[str, str] = {}
_lock = threading.Lock()
_asked: list[Callable[[], None]] = []
"""What sets structlog up as it was asked for last, where that is not done yet."""


def _set_up(stream: TextIO, level: int, *, in_words: bool, colours: bool) -> None:
    import structlog

    shared: list[structlog.typing.Processor] = [
        _add_own,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if in_words:
        shared.append(
            structlog.dev.ConsoleRenderer(
                colors=colours,
                exception_formatter=structlog.dev.plain_traceback,
            )
        )
    else:
        shared += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
