"""The small types of the configuration: durations, file modes, targets, names, paths, addresses.

Each is a pydantic type that reads what people write; a refusal says how to write it, and never
quotes what was written.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from bridge.config.source import WrittenInt
from bridge.model.naming import MAX_INSTANCE, MAX_NAME, is_valid_name
from bridge.model.world import short_target

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_MODE = re.compile(r"0o?([0-7]{1,4})")
_MAX_MODE = 0o777


def _duration(value: object) -> float:
    if not isinstance(value, str) or _DURATION.fullmatch(value) is None:
        raise ValueError("a duration with its unit is needed, as in 500ms, 10s, 1m30s, 24h or 90d")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))


def duration_text(seconds: float) -> str:
    """Write a duration as people do: in the largest unit that divides it."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms" if seconds else "0s"
    units = (("d", 2), ("h", 1), ("m", 1), ("s", 1))
    fits = (u for u, least in units if not seconds % _UNITS[u] and seconds >= least * _UNITS[u])
    unit = next(fits, "s")
    return f"{seconds / _UNITS[unit]:g}{unit}"


def _interval(seconds: float) -> float:
    if seconds < _UNITS["ms"] * 100:
        raise ValueError("100ms at least")
    return seconds


def _mode(value: object) -> int:
    text = value.text if isinstance(value, WrittenInt) else value
    if isinstance(text, str) and (match := _MODE.fullmatch(text)):
        bits = int(match[1], 8)
        if bits <= _MAX_MODE:
            return bits
        raise ValueError('at most "0777"')
    raise ValueError(
        'an octal mode with its leading zero is needed, as in "0400"; 400 could mean either'
    )


def _digits(value: object) -> str:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return value
    raise ValueError('a number in quotes is needed, as in "1000"')


def _target(value: str) -> str:
    parts = value.strip("/").split("/")
    absolute = value.startswith("/")
    if (
        not value.strip("/")
        or value.endswith("/")
        or any(part in {"", ".", ".."} for part in parts)
        or (len(parts) > 1 and not absolute)
        or not value.isprintable()
    ):
        raise ValueError("a file name is needed, or an absolute path without `..`")
    return short_target(value)


def _name(value: str) -> str:
    if not is_valid_name(value):
        raise ValueError(
            f"a name has at most {MAX_NAME} letters, digits, `_`, `-` and `.`, and begins and ends"
            " with a letter or digit: Docker allows 64, and the version's number needs the rest"
        )
    return value


def _instance(value: str) -> str:
    if len(value) > MAX_INSTANCE or not is_valid_name(value):
        raise ValueError(
            f"a name has at most {MAX_INSTANCE} letters, digits, `_`, `-` and `.`, and begins and"
            " ends with a letter or digit"
        )
    return value


def _vault_path(value: str) -> str:
    if not value or any(part in {"", ".", ".."} for part in value.split("/")):
        raise ValueError("a path is needed as in apps/shop/db, with no `/` at its ends or doubled")
    if not value.isprintable():
        raise ValueError("a path has no control characters")
    return value


def _address(value: str) -> str:
    try:
        parts = urlsplit(value.rstrip("/"))
        port_is_right = parts.port != 0
    except ValueError:
        port_is_right = False
        parts = urlsplit("")
    if (
        not port_is_right
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.path
        or parts.query
        or parts.fragment
        or parts.username is not None
    ):
        raise ValueError("an address is needed as in https://vault.example.net:8200, nothing else")
    return value.rstrip("/")


def is_plain_and_remote(address: str) -> bool:
    """Tell whether tokens and values would cross a network in clear text."""
    parts = urlsplit(address)
    local = {"localhost", "127.0.0.1", "::1"}
    return parts.scheme == "http" and parts.hostname not in local


def _docker_host(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if scheme not in {"unix", "tcp", "ssh"} or not separator or not rest:
        raise ValueError("a host is needed as in unix:///var/run/docker.sock, tcp:// or ssh://")
    return value


def _percent(value: object) -> float:
    if isinstance(value, str) and re.fullmatch(r"\d{1,2}%", value):
        return int(value[:-1]) / 100
    raise ValueError("a part of the lease's time is needed, as in 33%")


def _service(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?", value):
        raise ValueError("this cannot be the name of a Swarm service")
    return value


def _schema(pattern: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


Duration = Annotated[
    float, BeforeValidator(_duration), _schema(r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$")
]
Interval = Annotated[Duration, AfterValidator(_interval)]
Mode = Annotated[int, BeforeValidator(_mode), _schema(r"^0o?[0-7]{1,4}$", examples=["0400"])]
Digits = Annotated[str, BeforeValidator(_digits), _schema(r"^[0-9]+$", examples=["1000"])]
Percent = Annotated[float, BeforeValidator(_percent), _schema(r"^[0-9]{1,2}%$")]
Target = Annotated[str, AfterValidator(_target)]
Name = Annotated[str, AfterValidator(_name)]
Instance = Annotated[str, AfterValidator(_instance)]
ServiceName = Annotated[str, AfterValidator(_service)]
VaultPath = Annotated[str, AfterValidator(_vault_path)]
Address = Annotated[str, AfterValidator(_address)]
DockerHost = Annotated[str, AfterValidator(_docker_host)]
