"""The small types of the configuration: durations, file modes, targets, names, paths, addresses.

Each is a pydantic type that reads what people write; a refusal says how to write it, and never
quotes what was written.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from bridge.keys.durations import UNITS, duration
from bridge.keys.written import WrittenInt
from bridge.model.names import MAX_INSTANCE, MAX_NAME, is_valid_name
from bridge.model.service import SECRETS, short_target
from bridge.model.settings import SshAddress, listen_address

_MODE = re.compile(r"0o?([0-7]{1,4})")
_MAX_MODE = 0o777
_SOCKET = re.compile(r"(?:unix:)?(/(?!/).+)", re.IGNORECASE)


def _whole(value: object) -> object:
    """Take a whole number in quotes for what it is."""
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() else value


def _interval(seconds: float) -> float:
    if seconds < UNITS["ms"] * 100:
        raise ValueError("100ms at least")
    return seconds


def _poll_interval(value: object) -> float | str:
    if isinstance(value, str) and value.strip() == AUTO:
        return AUTO
    try:
        return _interval(duration(value))
    except ValueError as error:
        raise ValueError(f"{error}; or `{AUTO}`") from None


AUTO = "auto"


def _max_age(value: object) -> float | str:
    if isinstance(value, str) and value.strip() == NEVER:
        return NEVER
    try:
        seconds = duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or `{NEVER}`") from None
    if seconds < 1:
        raise ValueError("1s at least")
    return seconds


NEVER = "never"


def _mode(value: object) -> int:
    text = value.text if isinstance(value, WrittenInt) else value
    if isinstance(text, str) and (match := _MODE.fullmatch(text.strip())):
        bits = int(match[1], 8)
        if bits <= _MAX_MODE:
            return bits
        raise ValueError('at most "0777"')
    raise ValueError(
        'an octal mode with its leading zero is needed, as in "0400"; 400 could mean either'
    )


def _digits(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if text.isascii() and text.isdigit():
        return text
    raise ValueError('a number in quotes is needed, as in "1000"')


def _target(value: str) -> str:
    parts = value.removeprefix("/").split("/")
    if any(part in {"", ".", ".."} for part in parts) or not value.isprintable():
        raise ValueError("a file name is needed, or a path without `..`")
    if short_target(value) == SECRETS:
        raise ValueError(f"{SECRETS} is the folder of the secrets' files, and no file")
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


def without_slashes(value: str) -> str:
    """Return a path of Vault's as it is asked for: Vault lists mounts as ``secret/``."""
    return value.strip().strip("/")


def _vault_path(value: str) -> str:
    path = without_slashes(value)
    if not path or any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError("a path is needed as in apps/shop/db, with no `/` doubled and no `..`")
    if not path.isprintable():
        raise ValueError("a path has no control characters")
    return path


def _auth_mount(value: str) -> str:
    """``vault auth list`` shows ``approle/``, and the API has it below ``auth/``."""
    return _vault_path(_vault_path(value).removeprefix("auth/"))


def _role(value: str) -> str:
    role = value.strip()
    if not role or "/" in role:
        raise ValueError(
            "the role's name alone is needed, without the path that Vault's API has it below"
        )
    return role


def _address(value: str) -> str:
    wanted = "an address is needed as in https://vault.example.net:8200"
    address = value.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        port_is_right = parts.port != 0
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_right:
        raise ValueError(f"{wanted}: it begins with https://, or with http:// where TLS is off")
    if parts.path or parts.query or parts.fragment:
        raise ValueError(f"{wanted}: leave out the path, which the bridge adds by itself")
    if parts.username is not None:
        raise ValueError(f"{wanted}: leave out the name before the `@`; see `vault.auth`")
    return address


def is_plain_and_remote(address: str) -> bool:
    """Return whether tokens and values would cross a network in clear text."""
    parts = urlsplit(address)
    local = {"localhost", "127.0.0.1", "::1"}
    return parts.scheme == "http" and parts.hostname not in local


def docker_host(value: str) -> str:
    """Return the address of an engine as docker's clients take it.

    Raises:
        ValueError: It is none.
    """
    text = value.strip()
    socket = _SOCKET.fullmatch(text)
    scheme, _, rest = f"unix://{socket[1]}".partition("://") if socket else text.partition("://")
    scheme = scheme.lower()
    rest = rest if scheme == "unix" else rest.rstrip("/")
    if scheme not in {"unix", "tcp", "ssh"} or not rest:
        raise ValueError("a host is needed as in unix:///var/run/docker.sock, tcp:// or ssh://")
    if scheme == "tcp" and not re.search(r":\d+$", rest):
        raise ValueError("tcp:// needs a port: 2376 is the one with TLS")
    if scheme == "ssh":
        SshAddress.read(f"ssh://{rest}")
    return f"{scheme}://{rest}"


def _listen(value: object) -> str:
    if isinstance(value, WrittenInt | int):
        raise ValueError('an address in quotes is needed, as in ":9180"')  # noqa: TRY004 - for users
    if not isinstance(value, str):
        raise ValueError('a text is needed, as in ":9180"')  # noqa: TRY004 - as above
    listen_address(value)
    return value.strip()


def _percent(value: object) -> float:
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d{1,2})\s*%\s*", value)):
        return int(match[1]) / 100
    raise ValueError("a part of the lease's time is needed, as in 33%")


def _scheme(value: str) -> str:
    scheme = value.strip().removesuffix("://").lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", scheme):
        raise ValueError("a scheme is needed, as in slack or mailtos")
    return scheme


def _service(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?", value):
        raise ValueError("this cannot be the name of a Swarm service")
    return value


def _schema(pattern: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


Duration = Annotated[
    float, BeforeValidator(duration), _schema(r"^ *([0-9]+(\.[0-9]+)? *(ms|s|m|h|d) *)+$")
]
Interval = Annotated[Duration, AfterValidator(_interval)]
PollInterval = Annotated[
    float | str,
    BeforeValidator(_poll_interval),
    _schema(rf"^ *({AUTO}|([0-9]+(\.[0-9]+)? *(ms|s|m|h|d) *)+) *$", examples=["10s"]),
]
MaxAge = Annotated[
    float | str,
    BeforeValidator(_max_age),
    _schema(rf"^ *({NEVER}|([0-9]+(\.[0-9]+)? *(ms|s|m|h|d) *)+) *$", examples=["90d"]),
]
Mode = Annotated[int, BeforeValidator(_mode), _schema(r"^0o?[0-7]{1,4}$", examples=["0400"])]
Digits = Annotated[str, BeforeValidator(_digits), _schema(r"^[0-9]+$", examples=["1000"])]
Percent = Annotated[float, BeforeValidator(_percent), _schema(r"^ *[0-9]{1,2} *% *$")]
Count = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
Target = Annotated[str, AfterValidator(_target)]
Name = Annotated[str, AfterValidator(_name)]
Instance = Annotated[str, AfterValidator(_instance)]
ServiceName = Annotated[str, AfterValidator(_service)]
VaultPath = Annotated[str, AfterValidator(_vault_path)]
AuthMount = Annotated[str, AfterValidator(_auth_mount)]
Scheme = Annotated[str, AfterValidator(_scheme)]
Role = Annotated[str, Field(min_length=1), AfterValidator(_role)]
Address = Annotated[str, AfterValidator(_address)]
Listen = Annotated[str, BeforeValidator(_listen)]
DockerHost = Annotated[str, AfterValidator(docker_host)]
