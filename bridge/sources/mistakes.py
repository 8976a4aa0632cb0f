"""Mistakes between the keys of one secret that several kinds share, found in its raw data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.errors import ContentRefused

Mistakes = Iterator[tuple[tuple[str | int, ...], str]]
"""Keys from the top of the file, and what is wrong there; never with a value."""


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping, empty where the file has something else."""
    return value if isinstance(value, Mapping) else {}


def of_template(name: str, secret: Mapping[str, Any]) -> Mistakes:
    """Yield what is wrong about a template, which leaves nothing to a format."""
    for key in ("format", "decode"):
        if key in secret:
            yield ("secrets", name, key), "`template` says it all: leave this out"
    # Few files have a template, and jinja2 takes longer to import than most commands to run.
    from bridge.model.content.template import mistake_in  # noqa: PLC0415

    text = secret["template"]
    mistake = mistake_in(text) if isinstance(text, str) else ""
    if mistake:
        yield ("secrets", name, "template"), mistake


def of_credential(name: str, secret: Mapping[str, Any]) -> Mistakes:
    """Yield what is wrong about the content of a credential.

    It has a username and a password, so its template can be tried out here.
    """
    if "template" not in secret:
        if secret.get("format", "raw") == "raw":
            message = (
                "a credential has a `username` and a `password`: `format: json`, or `template`"
            )
            yield ("secrets", name, "format"), message
        if "decode" in secret:
            yield ("secrets", name, "decode"), "it is for one field of a KV path: leave this out"
        return
    mistakes = list(of_template(name, secret))
    yield from mistakes
    if not mistakes and isinstance(secret["template"], str):
        from bridge.model.content.template import fill  # noqa: PLC0415 - as above

        try:
            fill(secret["template"], {"username": "u", "password": "p"})
        except ContentRefused as error:
            message = f"with `username` and `password`: {error.message}"
            yield ("secrets", name, "template"), message
