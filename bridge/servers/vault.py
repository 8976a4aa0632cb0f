"""Vault's HTTP API; the one importer of hvac.

Nothing is taken from the surroundings: no ``$VAULT_TOKEN``, no ``~/.vault-token``, no proxy, no
``~/.netrc``. Redirects are not followed, since the token would go with them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import hvac
import requests
from hvac.adapters import JSONAdapter, RawAdapter
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from bridge.errors import LoginRefused, VaultError, VaultRefused, VaultUnreachable
from bridge.model.desired import KvPath
from bridge.model.reasons import Reason
from bridge.model.settings import AppRole, TokenFile, VaultSettings

TIMEOUT = (3.0, 10.0)
"""Seconds to connect and to wait for an answer."""

YOUNG = 60.0
"""Seconds after a login in which a token that may not look itself up is taken to be alive."""

READ_TRIES = 3
LOGIN_PAUSE = 960.0
"""Seconds before a refused credential is tried again while its files are unchanged.

Vault locks a role out after five refusals, and counts them until 15 minutes pass without one.
"""

Json = dict[str, Any]


class _Answer(Exception):
    """An answer that is not a success, with what hvac drops: its status."""

    def __init__(self, status: int, errors: tuple[str, ...], body: Json | None) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.errors = errors
        self.body = body

    @property
    def text(self) -> str:
        """Vault's own words, on one line."""
        words = "; ".join(" ".join(error.split()) for error in self.errors)
        return f"{self.status} {words}".strip()


def _adapter(pace: Callable[[], None]) -> type[JSONAdapter]:
    class Adapter(JSONAdapter):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            pace()
            kwargs["raise_exception"] = False
            answer = RawAdapter.request(cast("Any", self), *args, **kwargs)
            body: Any = None
            try:
                body = answer.json() if answer.content else None
            except ValueError:
                if answer.ok:
                    raise VaultUnreachable("Vault's answer is not JSON") from None
            if not answer.ok or answer.is_redirect:
                known = body if isinstance(body, dict) else None
                errors = tuple(str(error) for error in (known or {}).get("errors") or ())
                raise _Answer(answer.status_code, errors, known)
            return body

    return Adapter


class Vault:
    """A session with one Vault: logs in when needed, keeps below ``max_rps``.

    Every method raises ``VaultUnreachable`` where Vault gives no usable answer, ``LoginRefused``
    where it does not take our credential, and ``VaultRefused`` where the answer concerns one path.
    """

    def __init__(
        self, settings: VaultSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._gap = 1.0 / settings.max_rps
        self._next_slot = 0.0
        self._lock = threading.Lock()
        self._client: hvac.Client | None = None
        self._refused: tuple[tuple[bytes, ...], float] | None = None
        self._born = 0.0
        self._blind = False

    def close(self) -> None:
        """Close the connections and forget the token."""
        if self._client is not None:
            self._client.adapter.close()
            self._client = None

    # --- reading ---------------------------------------------------------------------------------

    def health(self) -> Json:
        """Return ``sys/health``, which needs no token; any of its states is an answer."""
        client = self._new_client()
        try:
            self._pace()
            answer = client.session.get(
                f"{self._settings.address}/v1/sys/health", timeout=TIMEOUT, allow_redirects=False
            )
            return cast("Json", answer.json())
        except (requests.exceptions.RequestException, ValueError) as error:
            raise self._unreachable(error) from None
        finally:
            client.adapter.close()

    def login(self) -> None:
        """Log in, if there is no session yet."""
        if self._client is None:
            self._client = self._logged_in()

    def metadata(self, path: KvPath) -> Json:
        """Read the metadata document of a KV v2 path: its versions, no values.

        Raises ``VaultRefused`` with the reasons ``PathMissing``, ``PermissionDenied``, ``NotKvV2``,
        ``MountMissing``, ``NamespaceMissing`` and ``VaultRefused``.
        """
        place = f"/v1/{quote(path.mount)}/metadata/{quote(path.path)}"
        try:
            answer = self._read(place)
        except _Answer as error:
            raise self._refusal(error, path) from None
        return self._data(answer)

    def read_version(self, path: KvPath, version: int) -> Json:
        """Read one version: ``data`` with its fields, and ``metadata`` with its ``created_time``.

        Raises ``VaultRefused`` as ``metadata`` does, and ``VersionDeleted`` where it is gone.
        """
        place = f"/v1/{quote(path.mount)}/data/{quote(path.path)}?version={version}"
        try:
            answer = self._read(place)
        except _Answer as error:
            if error.status == requests.codes.not_found and (error.body or {}).get("data"):
                raise VaultRefused(
                    Reason.VERSION_DELETED, f"version {version} of {path} cannot be read any more"
                ) from None
            raise self._refusal(error, path) from None
        data = self._data(answer)
        if not isinstance(data.get("data"), dict) or not isinstance(data.get("metadata"), dict):
            raise VaultRefused(Reason.VERSION_DELETED, f"version {version} of {path} has no data")
        return data

    def may_look_at_itself(self) -> bool:
        """Tell whether our token may look itself up, by which a dead one is told from a policy."""
        try:
            return self._alive(self._session())
        except requests.exceptions.RequestException as error:
            raise self._unreachable(error) from None

    def capabilities(self, paths: list[str]) -> dict[str, list[str]]:
        """Ask which capabilities our token has on API paths."""
        client = self._session()
        try:
            answer = client.adapter.post("/v1/sys/capabilities-self", json={"paths": paths})
        except _Answer as error:
            raise VaultRefused(
                Reason.PERMISSION_DENIED, f"Vault does not say our capabilities ({error.text})"
            ) from None
        except requests.exceptions.RequestException as error:
            raise self._unreachable(error) from None
        data = self._data(answer)
        return {path: list(data.get(path) or ()) for path in paths}

    # --- requests --------------------------------------------------------------------------------

    def _read(self, place: str) -> Any:
        """Read, trying again where that is harmless; log in again where the token is dead."""
        retrying = Retrying(
            retry=retry_if_exception_type(VaultUnreachable),
            stop=stop_after_attempt(READ_TRIES),
            wait=wait_random_exponential(multiplier=0.1, max=1.0),
            reraise=True,
        )
        return retrying(self._read_once, place)

    def _read_once(self, place: str) -> Any:
        client = self._session()
        try:
            try:
                return client.adapter.get(place)
            except _Answer as error:
                young = self._blind and self._clock() - self._born < YOUNG
                if error.status != requests.codes.forbidden or young or self._alive(client):
                    raise
            self.close()
            return self._with_fresh_token(place)
        except _Answer as error:
            if _is_trouble(error.status):
                raise self._not_ready(error) from None
            raise
        except requests.exceptions.RequestException as error:
            raise self._unreachable(error) from None

    def _with_fresh_token(self, place: str) -> Any:
        client = self._session()
        try:
            return client.adapter.get(place)
        except _Answer as error:
            if error.status != requests.codes.forbidden or self._alive(client):
                raise
            if not isinstance(self._settings.auth, TokenFile):
                self._blind = True  # it is fresh: its policy does not let it look itself up either
                raise
            raise LoginRefused(
                f"Vault at {self._settings.address} does not know our token",
                hint="put a fresh one into its file; where it is fresh, its policy lacks `read` on"
                " auth/token/lookup-self",
                everywhere=False,
            ) from None

    def _alive(self, client: hvac.Client) -> bool:
        """Tell a dead token from a missing policy: Vault's 403 is the same for both."""
        try:
            client.adapter.get("/v1/auth/token/lookup-self")
        except _Answer as error:
            return bool(error.status != requests.codes.forbidden)
        return True

    def _session(self) -> hvac.Client:
        self.login()
        if self._client is None:
            raise AssertionError("logged in without a session")
        return self._client

    def _logged_in(self) -> hvac.Client:
        auth = self._settings.auth
        credential = self._credential(auth)
        if self._refused and self._refused[0] == credential and self._clock() < self._refused[1]:
            raise LoginRefused(
                "Vault has refused our credential, and its files have not changed since",
                hint="put a fresh one in place; the same one is not tried again for a while,"
                " because Vault locks roles out",
            )
        client = self._new_client()
        try:
            client.token = self._token(client, auth, credential)
        except BaseException:
            client.adapter.close()
            raise
        self._refused = None
        self._born = self._clock()
        return client

    def _token(
        self, client: hvac.Client, auth: TokenFile | AppRole, credential: tuple[bytes, ...]
    ) -> str:
        texts: list[str] = [part.decode(errors="replace").strip() for part in credential]
        if isinstance(auth, TokenFile):
            return texts[0]
        body = {"role_id": texts[0], "secret_id": texts[1]}
        try:
            answer = client.adapter.post(f"/v1/auth/{quote(auth.mount)}/login", json=body)
            return str(answer["auth"]["client_token"])
        except _Answer as error:
            if error.status not in (requests.codes.bad_request, requests.codes.forbidden):
                # A standby's redirect or a proxy's answer says nothing of our credential.
                raise self._not_ready(error) from None
            self._refused = (credential, self._clock() + LOGIN_PAUSE)
            raise LoginRefused(
                f"Vault refused the AppRole login at auth/{auth.mount} ({error.text})",
                hint=f"check {auth.role_id_file} and {auth.secret_id_file}",
            ) from None
        except requests.exceptions.RequestException as error:
            raise self._unreachable(error) from None
        except (KeyError, TypeError):
            raise VaultUnreachable("Vault's answer to the login is not understood") from None

    def _credential(self, auth: TokenFile | AppRole) -> tuple[bytes, ...]:
        match auth:
            case TokenFile():
                files: tuple[str, ...] = (auth.token_file,)
            case AppRole():
                files = (auth.role_id_file, auth.secret_id_file)
        try:
            return tuple(Path(file).read_bytes() for file in files)
        except OSError as error:
            raise LoginRefused(
                f"cannot read {error.filename} ({error.strerror})",
                hint="it holds the credential for Vault, see `vault.auth`",
            ) from None

    def _new_client(self) -> hvac.Client:
        session = requests.Session()
        session.trust_env = False
        session.verify = self._settings.ca_file or True
        return hvac.Client(
            url=self._settings.address,
            token="",  # not None: hvac would look into the environment
            namespace=self._settings.namespace or None,
            session=session,
            timeout=cast("Any", TIMEOUT),
            allow_redirects=False,
            adapter=_adapter(self._pace),
        )

    def _pace(self) -> None:
        """Wait for our turn below ``max_rps``."""
        with self._lock:
            now = self._clock()
            slot = max(now, self._next_slot)
            self._next_slot = slot + self._gap
        if slot > now:
            time.sleep(slot - now)

    # --- answers ---------------------------------------------------------------------------------

    def _data(self, answer: Any) -> Json:
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            raise VaultUnreachable("Vault's answer is not understood")
        return data

    def _refusal(self, error: _Answer, path: KvPath) -> VaultError:
        if error.status == requests.codes.forbidden:
            return VaultRefused(
                Reason.PERMISSION_DENIED,
                f"our token may not read {path}",
                hint=f'grant `read` on "{path.mount}/metadata/{path.path}" and'
                f' "{path.mount}/data/{path.path}"',
            )
        if error.status == requests.codes.not_found:
            if error.body is None:
                return VaultUnreachable("a 404 that is not Vault's: is a proxy in between?")
            return self._missing(error, path)
        return VaultRefused(Reason.VAULT_REFUSED, f"Vault answered {error.text} for {path}")

    def _missing(self, error: _Answer, path: KvPath) -> VaultError:
        if "namespace not found" in error.text:
            return VaultRefused(
                Reason.NAMESPACE_MISSING, f"there is no namespace {path.namespace} in Vault"
            )
        if "no handler for route" in error.text:
            return VaultRefused(Reason.MOUNT_MISSING, f"nothing is mounted at {path.mount}/")
        if self._kv_version(path) == "1":
            return VaultRefused(
                Reason.NOT_KV_V2,
                f"{path.mount}/ is a KV version 1 engine, which has no versions",
                hint=f"run `vault kv enable-versioning {path.mount}/`",
            )
        return VaultRefused(Reason.PATH_MISSING, f"there is nothing at {path} in Vault")

    def _kv_version(self, path: KvPath) -> str:
        """Ask which KV version a mount has; a 404 is the same for both."""
        place = f"/v1/sys/internal/ui/mounts/{quote(path.mount)}/{quote(path.path)}"
        try:
            answer = self._session().adapter.get(place)
            return str((answer["data"].get("options") or {}).get("version", ""))
        except (_Answer, VaultError, requests.exceptions.RequestException):
            return ""
        except (KeyError, TypeError, AttributeError):
            return ""

    def _unreachable(self, error: Exception) -> VaultUnreachable:
        text = str(error)
        kind = type(error).__name__
        words = next((words for sign, words in _WORDS if sign in text), kind)
        return VaultUnreachable(
            f"no usable answer from Vault at {self._settings.address} ({words})",
            hint="see `vault.address`, and `vault.ca_file` for a private CA",
            everywhere=True,
        )

    def _not_ready(self, error: _Answer) -> VaultUnreachable:
        return VaultUnreachable(
            f"Vault at {self._settings.address} is not ready ({error.text})",
            everywhere=error.status in _EVERYWHERE,
        )


_WORDS = (
    ("Connection refused", "connection refused"),
    ("Name or service not known", "its name is not known"),
    ("timed out", "no answer in time"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS"),
)

_BROKEN = 472
"""From this status on Vault is not ready: 472 and 473 standbys, 500 and more."""

_EVERYWHERE = (requests.codes.too_many, 472, 473, requests.codes.unavailable)
"""Statuses that concern the whole of Vault: overloaded, a standby, sealed."""


def _is_trouble(status: int) -> bool:
    return status == requests.codes.too_many or status >= _BROKEN
