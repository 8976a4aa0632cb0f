"""Files that are written whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click


def is_there(file: Path, data: bytes) -> bool:
    """Return whether a file is there with exactly this content."""
    try:
        return file.read_bytes() == data
    except OSError:
        return False


def put(file: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file: whoever reads it meanwhile sees the former one, or this one.

    Raises ``click.UsageError`` where that is not possible.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise _not_written(file, error) from None
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(data)
            os.fchmod(number, mode)
        Path(name).replace(file)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _not_written(file, error) from None
        raise


def _not_written(file: Path, error: OSError) -> click.UsageError:
    return click.UsageError(f"{file}: cannot be written ({error.strerror})")
