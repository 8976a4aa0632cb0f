"""The configuration file: what is read, what is refused, and how it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bridge.config import Configuration, json_schema, load
from bridge.config.rules import contradictions
from bridge.config.yaml_file import Source
from bridge.errors import ConfigError
from bridge.keys.values import Duration, Mode
from bridge.model.desired import (
    Content,
    Decode,
    FileFields,
    Format,
    Retain,
    Rollout,
    TrailingNewline,
)
from bridge.model.notification import Receiver, Topic
from bridge.model.settings import AppRole, CertLogin, JwtLogin, TokenFile
from bridge.sources.kv.source import KvPath

ROOT = Path(__file__).parents[3]
CANARY = "c4n4ry-0f-a-credential"

BASE = """\
vault: {address: "https://vault:8200", auth: {method: token, token_file: /t}}
"""


class Read:
    """Writes a file and loads it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "bridge.yaml"

    def __call__(self, text: str, **environ: str) -> Configuration:
        self.file.write_text(text)
        return load(str(self.file), environ)

    def refused(self, text: str, **environ: str) -> list[str]:
        """Return the problems as ``line key: message``, without the file."""
        with pytest.raises(ConfigError) as raised:
            self(text, **environ)
        assert CANARY not in str(raised.value) + repr(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
        return [str(p).removeprefix(f"{self.file}:") for p in raised.value.problems]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path)


def secret(body: str) -> str:
    return f"{BASE}secrets:\n  db:\n    {body}\n"


def test_the_example_is_accepted() -> None:
    found = load(str(ROOT / "config" / "bridge.example.yaml"), {})
    assert found.warnings == ()
    assert found.desired.rollout == Rollout(
        max_in_flight=1, settle=0, settle_max=300, bake=30, timeout=600
    )
    assert found.desired.retain == Retain(2, 86400)
    assert found.settings.vault.auth == AppRole("/run/secrets/role_id", "/run/secrets/secret_id")
    password, config, *_ = found.desired.secrets
    assert password.source == KvPath("", "secret", "apps/shop/db")
    assert password.content == Content(format=Format.RAW, field="password")
    assert password.services[0].files == (FileFields("db_password", "1000", "1000", 0o400),)
    assert password.services[1].files == (FileFields(),)
    assert config.content == Content(format=Format.JSON)


def test_the_example_names_the_defaults(read: Read) -> None:
    example = load(str(ROOT / "config" / "bridge.example.yaml"), {})
    bare = read(BASE)
    assert example.desired.rollout == bare.desired.rollout
    assert example.desired.retain == bare.desired.retain
    assert example.desired.instance == bare.desired.instance
    assert example.settings.docker == bare.settings.docker
    assert example.settings.poll_interval == bare.settings.poll_interval
    assert example.settings.vault.max_rps == bare.settings.vault.max_rps


EIGHT = f"""\
instance: default
vault:
  adress: https://vault:8200
  auth: {{method: token, token_file: 5}}
poll: {{interval: 10}}
rollout: {{max_in_flight: 0}}
retain: {{versions: 2, versions: 3}}
secrets:
  db:
    kv: {{mount: secret, path: apps/db}}
    services:
      api: {{mode: 400, uid: 1000}}
  {CANARY}/:
    kv: {{mount: secret, path: //{CANARY}, field: x}}
    password: {CANARY}
"""


def test_every_mistake_is_named_at_once(read: Read) -> None:
    text = EIGHT.replace(f"  {CANARY}/:", "  Db:").replace(f"//{CANARY}", f"{CANARY}//x")
    assert [line.split(": ")[:2] for line in read.refused(text)] == [
        ["2", "vault.address"],
        ["3", "vault.adress"],
        ["4", "vault.auth.token_file"],
        ["5", "poll.interval"],
        ["6", "rollout.max_in_flight"],
        ["7", "retain.versions"],
        ["10", "secrets.db.kv.field"],
        ["12", "secrets.db.services.api.mode"],
        ["12", "secrets.db.services.api.uid"],
        ["13", "secrets.Db"],
        ["14", "secrets.Db.kv.path"],
        ["15", "secrets.Db.password"],
    ]


def test_a_misspelt_key_gets_a_suggestion(read: Read) -> None:
    (problem,) = read.refused(secret("kv: {mount: s, path: p, field: f, lase: {}}"))
    assert problem.endswith("unknown key; did you mean `lease`?")
    (problem,) = read.refused(BASE.replace("token_file", "token_flie") + "")[1:]
    assert problem.endswith("unknown key; did you mean `token_file`?")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("rollout: {canary: [x]}", "rollout.canary"),
        ("discovery: {allow_services: [x]}", "discovery"),
        ("trees: []", "trees"),
    ],
)
def test_a_key_not_built_yet_is_refused_as_such(read: Read, text: str, key: str) -> None:
    whole = text if text.startswith("vault") else BASE + text
    found = [line for line in read.refused(whole) if "not built yet" in line]
    assert [line.split(": ")[1] for line in found] == [key]
    if whole != text:
        assert len(read.refused(whole)) == 1


def test_every_login_of_vault_is_read(read: Read) -> None:
    text = "vault: {address: 'http://localhost', auth: {%s}}\nsecrets: {}"
    for method, wanted in (
        ("method: jwt, role: r, jwt_file: /j", JwtLogin("r", "/j")),
        ("method: cert, role: r, cert_file: /c, key_file: /k", CertLogin("r", "/c", "/k")),
        (
            "method: approle, role_id_file: /r, secret_id_file: /s, secret_id_wrapped: true",
            AppRole("/r", "/s", secret_id_wrapped=True),
        ),
    ):
        assert read(text % method).settings.vault.auth == wanted


@pytest.mark.parametrize("written", ['"0400"', "0400", "0o400", '"0o400"', "'400'", "400", "256"])
def test_a_mode_is_octal_or_refused(read: Read, written: str) -> None:
    body = "kv: {mount: s, path: p, field: f}\n    services: {a: {mode: %s}}"
    if written.strip("\"'")[0] == "0":
        (wanted,) = read(secret(body % written)).desired.secrets
        assert wanted.services[0].files[0].mode == 0o400
    else:
        (problem,) = read.refused(secret(body % written))
        assert "leading zero" in problem


@given(st.integers(0, 0o777))
def test_every_mode_reads_back(bits: int) -> None:
    assert TypeAdapter(Mode).validate_python(f"0{bits:o}") == bits


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("1m30s", 90), ("24h", 86400), ("90d", 7776000), ("1.5h", 5400)],
)
def test_durations(written: str, seconds: float) -> None:
    assert TypeAdapter(Duration).validate_python(written) == pytest.approx(seconds)


@pytest.mark.parametrize("written", [10, "10", "", "-1s", "1 S", "s", "1w", True, None])
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(written)


@pytest.mark.parametrize(
    "target",
    [
        "../x",
        "a/../b",
        "/a/../b",
        "",
        "/",
        "/run/secrets",
        "/run/secrets/",
        "//etc/x",
        "a//b",
        "a\nb",
    ],
)
def test_a_target_stays_where_it_belongs(read: Read, target: str) -> None:
    body = f"kv: {{mount: s, path: p, field: f}}\n    services: {{a: {{target: {target!r}}}}}"
    assert any("target" in problem for problem in read.refused(secret(body.replace("'", '"'))))


def test_one_target_is_one_file(read: Read) -> None:
    """``/run/secrets/x`` and ``x`` are one target, and a name is the target where none is given."""
    text = BASE + (
        "secrets:\n"
        "  a: {kv: {mount: s, path: a, field: f}, services: {api: {target: /run/secrets/b}}}\n"
        "  b: {kv: {mount: s, path: b, field: f}, services: {api: , web: }}\n"
    )
    (problem,) = read.refused(text)
    assert problem == (
        "4: secrets.b.services.api.target: `a` has this target in api too; give one of them another"
        " `target`"
    )
    fine = read(text.replace("services: {api: ,", "services: {")).desired.secrets
    assert fine[0].services[0].files[0].target == "b"


def files(written: str) -> str:
    """Return a configuration with one secret and the files of its one service."""
    return secret(f"kv: {{mount: s, path: p, field: f}}\n    services: {{api: {written}}}")


def test_a_service_may_have_several_files_of_one_secret(read: Read) -> None:
    """One alone needs no list."""
    listed = "[{target: a, mode: '0400'}, {target: certs/tls.key, mode: '0400'}, {mode: '0400'}]"
    found = read(files(listed))
    assert found.desired.secrets[0].services[0].files == (
        FileFields("a", mode=0o400),
        FileFields("certs/tls.key", mode=0o400),
        FileFields(mode=0o400),
    )
    assert found.warnings == ()
    one, alone = (read(files(written)).desired for written in ("{target: a}", "[{target: a}]"))
    assert one == alone
    assert read(files("[~, {target: b}]")).desired.secrets[0].services[0].files[0] == FileFields()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[]", "api: 1 at least"),
        ("[{}, {target: db}]", "api[1].target: this target is given twice"),
        ("[{target: /run/secrets/x}, {target: x}]", "api[1].target: this target is given twice"),
        ("[{target: a}, {target: a/b}]", "api[1].target: `db` has the target a in api, and a"),
        ("[{target: a}, {mood: x}]", "api[1].mood: unknown key; did you mean `mode`?"),
        ("[{target: a}, 5]", "api[1]: a mapping is needed"),
        ("5", "api: a mapping is needed"),
        ("{mode: 400}", "api.mode: an octal mode"),
    ],
)
def test_a_mistake_in_a_list_of_files_is_found_in_its_place(
    read: Read, written: str, said: str
) -> None:
    (problem,) = read.refused(files(written))
    assert f"secrets.db.services.{said}" in problem


def test_files_of_one_secret_that_differ_are_doubted(read: Read) -> None:
    (warning,) = read(files("[{target: a}, {target: b, mode: '0400'}]")).warnings
    assert "secrets.db.services.api: Docker gives all files of one secret" in warning


def test_names_are_dockers(read: Read) -> None:
    kv = "kv: {mount: s, path: p, field: f}"
    longest = read(f"{BASE}instance: {'i' * 40}\nsecrets: {{{'a' * 52}: {{{kv}}}}}")
    assert longest.desired.secrets[0].name == "a" * 52
    (problem,) = read.refused(BASE + f"instance: {'i' * 41}")
    assert "at most 40" in problem
    for name in ("a" * 53, "-a", "a b", "a/b"):
        text = BASE + f'secrets: {{"{name}": {{kv: {{mount: s, path: p, field: f}}}}}}'
        assert "letters, digits" in read.refused(text)[0]
    (problem,) = read.refused(
        BASE + "secrets:\n  a: {kv: {mount: s, path: p, field: f}}\n"
        "  A: {kv: {mount: s, path: p, field: f}}"
    )
    assert problem.startswith("4: secrets.A: it differs from `a` only in case")


@pytest.mark.parametrize(
    "body",
    [
        "format: json",
        "kv: {mount: s, path: p, field: f}\n    database: {mount: d, role: r}",
    ],
)
def test_a_secret_has_one_source(read: Read, body: str) -> None:
    assert any("exactly one of" in problem for problem in read.refused(secret(body)))


@pytest.mark.parametrize("key", ["kv", "database", "static"])
def test_a_source_with_nothing_below_it_is_none(read: Read, key: str) -> None:
    (problem,) = read.refused(secret(f"{key}:"))
    assert "exactly one of" in problem
    assert "none is given" in problem


@pytest.mark.parametrize("form", ["[json]", "{a: b}"])
def test_a_format_that_is_no_text_is_a_mistake_as_any_other(read: Read, form: str) -> None:
    (problem,) = read.refused(secret(f"kv: {{mount: s, path: p}}\n    format: {form}"))
    assert "secrets.db.format: one of raw, json or dotenv is needed" in problem


def test_a_format_that_is_not_known_is_not_repeated(read: Read) -> None:
    body = f"kv: {{mount: s, path: p}}\n    format: {CANARY}\n    decode: base64"
    (problem,) = read.refused(secret(body))
    assert "secrets.db.format: one of raw, json or dotenv is needed" in problem


def test_lease_rules_are_for_sources_whose_credentials_the_bridge_makes(read: Read) -> None:
    kv, lease = "kv: {mount: s, path: p, field: f}", "lease: {grace: 5s}"
    (problem,) = read.refused(secret(f"{kv}\n    {lease}"))
    assert "secrets.db.lease: a version from `kv` has no lease" in problem
    assert "`database` and `static`" in problem
    both = read.refused(secret(f"{kv}\n    database: {{mount: d, role: r}}\n    {lease}"))
    assert not any("secrets.db.lease" in problem for problem in both), both


def test_who_is_told_of_what(read: Read, tmp_path: Path) -> None:
    entries = """notify:
  - {url_file: url}
  - url_file: /url
    events: [failed, recovered]
    held_after: 1h
    min_interval: 0s
    secrets: [shop_*]
    schemes: ["slack://", mailtos]
    hosts: ["*.example.net"]
"""
    first, second = read(f"{BASE}{entries}").settings.notify
    assert first == Receiver(url_file=str(tmp_path / "url"))
    assert second == Receiver(
        url_file="/url",
        events=(Topic.FAILED, Topic.RECOVERED),
        held_after=3600.0,
        min_interval=0.0,
        secrets=("shop_*",),
        schemes=("slack", "mailtos"),
        hosts=("*.example.net",),
    )
    (problem,) = read.refused(f"{BASE}notify: [{{url_file: /x, events: [{CANARY}]}}]\n")
    assert "notify[0].events[0]: one of failed, held, lease_danger, overdue," in problem
    (problem,) = read.refused(f"{BASE}notify: [{{url_file: /x, hots: ['{CANARY}']}}]\n")
    assert "did you mean `hosts`?" in problem


def test_an_age_for_all_secrets_and_one_for_each(read: Read) -> None:
    kv = "kv: {mount: s, path: p, field: f}"
    text = f"secrets: {{a: {{{kv}}}, b: {{{kv}, max_age: 30d}}, c: {{{kv}, max_age: never}}}}\n"
    ages = [secret.max_age for secret in read(f"{BASE}max_age: 90d\n{text}").desired.secrets]
    assert ages == [90 * 86400.0, 30 * 86400.0, None]
    assert [s.max_age for s in read(f"{BASE}{text}").desired.secrets] == [None, 30 * 86400.0, None]
    (problem,) = read.refused(f"{BASE}max_age: 90\n{text}")
    assert "90d; or `never`" in problem


def test_an_age_that_no_generation_would_keep_is_refused(read: Read) -> None:
    """Each would be overdue until it is replaced."""

    def of(max_age: str, every: str = "30d") -> str:
        static = f"static: {{mount: d, roles: [r, s]}}, lease: {{rotate_every: {every}}}"
        return f"secrets: {{a: {{{static}, format: json{max_age}}}}}\n"

    for text in (of(", max_age: 29d"), "max_age: 29d\n" + of("")):
        (problem,) = read.refused(BASE + text)
        assert "secrets.a.lease.rotate_every: longer than `max_age: 29d`" in problem
    for text in (of(", max_age: 30d"), "max_age: 29d\n" + of(", max_age: never")):
        assert read(BASE + text)


def test_a_static_role_belongs_to_one_secret(read: Read) -> None:
    def of(name: str, roles: str, mount: str = "d") -> str:
        return f"  {name}: {{static: {{mount: {mount}, roles: {roles}}}, format: json}}\n"

    same = of("a", "[r1, r2]") + of("b", "[r3]", "e") + of("c", "[r4, r1]", "d/")
    (problem,) = read.refused(f"{BASE}secrets:\n{same}")
    assert "secrets.c.static.roles: `a` has the role r1 too" in problem
    (problem,) = read.refused(f"{BASE}secrets:\n{of('a', '[r1, r1]')}")
    assert "two different roles" in problem


class _Counted(dict[str, Any]):
    """Data of a file, which counts how often it is read."""

    reads = 0

    def get(self, key: str, default: Any = None) -> Any:
        _Counted.reads += 1
        return super().get(key, default)


def test_mistakes_between_secrets_are_found_without_comparing_each_with_each() -> None:
    def reads(count: int) -> int:
        _Counted.reads = 0
        secrets = {
            f"s{n}": _Counted(static={"mount": "d", "roles": [f"r{n}"]}, format="json")
            for n in range(count)
        }
        assert contradictions(Source("", {"secrets": secrets})) == []
        return _Counted.reads

    assert reads(100) == 10 * reads(10)


def test_a_format_and_its_field(read: Read) -> None:
    assert "needs `field`" in read.refused(secret("kv: {mount: s, path: p}"))[0]
    (problem,) = read.refused(secret("kv: {mount: s, path: p, field: f}\n    format: json"))
    assert "leave `field` out" in problem
    (problem,) = read.refused(
        secret("kv: {mount: s, path: p}\n    format: json\n    decode: base64")
    )
    assert "secrets.db.decode" in problem


def test_what_a_secret_s_content_is_made_of(read: Read) -> None:
    kv = "kv: {mount: s, path: p, field: f}"
    (made,) = read(secret(f"{kv}\n    decode: base64\n    trailing_newline: strip")).desired.secrets
    assert made.content == Content(
        format=Format.RAW,
        field="f",
        template=None,
        decode=Decode.BASE64,
        trailing_newline=TrailingNewline.STRIP,
    )
    (made,) = read(secret(f"{kv}\n    decode: base64url")).desired.secrets
    assert made.content == Content(
        format=Format.RAW, field="f", template=None, decode=Decode.BASE64URL
    )
    (made,) = read(secret("kv: {mount: s, path: p}\n    template: '{{ a }}'")).desired.secrets
    assert made.content == Content(format=Format.TEMPLATE, field=None, template="{{ a }}")
    (made,) = read(secret("kv: {mount: s, path: p}\n    format: dotenv")).desired.secrets
    assert made.content == Content(format=Format.DOTENV)


def test_a_template_is_checked_before_it_is_needed(read: Read) -> None:
    """Its mistakes are the configuration's; what else it excludes is said at its key."""
    (problem,) = read.refused(secret("kv: {mount: s, path: p}\n    template: '{{ a'"))
    assert "secrets.db.template: line 1 of the template" in problem
    (problem,) = read.refused(secret("kv: {mount: s, path: p}\n    template: '{{ a | nope }}'"))
    assert "nope" in problem
    (problem,) = read.refused(
        secret("kv: {mount: s, path: p}\n    template: '{% include \"x\" %}'")
    )
    assert "other files" in problem
    body = (
        "kv: {mount: s, path: p, field: f}\n    template: x\n    format: json\n    decode: base64"
    )
    assert [line.split(": ")[1] for line in read.refused(secret(body))] == [
        "secrets.db.kv.field",
        "secrets.db.format",
        "secrets.db.decode",
    ]


@pytest.mark.parametrize("path", ["/", "a//b", "", "a/../b", "'a\tb'"], ids=repr)
def test_a_path_is_written_as_vault_kv_get_takes_it(read: Read, path: str) -> None:
    written = path if path.startswith("'") else f"'{path}'"
    assert len(read.refused(secret(f"kv: {{mount: s, field: f, path: {written}}}"))) == 1


@pytest.mark.parametrize(
    "address",
    ["vault:8200", "ftp://v", "https://", "https://v/v1", "https://v?x", f"https://u:{CANARY}@v",
     "https://v:99999"],
)  # fmt: skip
def test_what_is_no_address(read: Read, address: str) -> None:
    (problem,) = read.refused(BASE.replace("https://vault:8200", address))
    assert "vault.address" in problem


def test_clear_text_to_another_machine_is_doubted(read: Read) -> None:
    assert "clear text" in read(BASE.replace("https", "http")).warnings[0]
    local = read(BASE.replace("https://vault", "http://127.0.0.1")).warnings
    assert not any("clear text" in warning for warning in local)


@pytest.mark.parametrize(
    ("keys", "host", "doubt"),
    [
        ("listen: ':9180'", "127.0.0.1", ""),
        ("listen: 'localhost:9180'", "localhost", ""),
        ("listen: '[::1]:9180'", "::1", ""),
        ("listen: '0.0.0.0:9180'", "0.0.0.0", "set `http.token_file`"),
        ("listen: '[::]:9180', cert_file: c, key_file: k", "::", "set `http.token_file`"),
        ("listen: 'node-1:9180', token_file: t", "node-1", "the token crosses the network"),
        ("listen: '0.0.0.0:9180', token_file: t, cert_file: c, key_file: k", "0.0.0.0", ""),
    ],
)
def test_whoever_may_look_is_to_be_known(read: Read, keys: str, host: str, doubt: str) -> None:
    found = read(BASE + f"http: {{{keys}}}")
    assert found.settings.http is not None
    assert (found.settings.http.host, found.settings.http.port) == (host, 9180)
    doubts = [warning for warning in found.warnings if "http.listen" in warning]
    assert bool(doubts) == bool(doubt)
    assert all(doubt in each for each in doubts)


@pytest.mark.parametrize("listen", ["9180", "'9180'", "':70000'", "'a b:1'", "'http://x:1'", "[]"])
def test_where_to_listen_is_refused_where_it_is_nowhere(read: Read, listen: str) -> None:
    (problem,) = read.refused(BASE + f"http: {{listen: {listen}}}")
    assert "http.listen: " in problem
    assert ":9180" in problem
    (problem,) = read.refused(BASE + "http: {listen: ':1', cert_file: /c}")
    assert "http.cert_file: it needs `key_file` beside it" in problem


def test_nothing_to_do_is_doubted(read: Read) -> None:
    assert "nothing to do" in read(BASE).warnings[0]


def test_docker_over_tcp_needs_tls_or_a_word(read: Read) -> None:
    (problem,) = read.refused(BASE + "docker: {host: 'tcp://m:2375'}")
    assert "plaintext: true" in problem
    assert read(BASE + "docker: {host: 'tcp://m:2375', plaintext: true}").settings.docker.plaintext
    (problem,) = read.refused(BASE + "docker: {host: 'tcp://m:2376', cert_file: /c}")
    assert "key_file" in problem
    (problem,) = read.refused(BASE, DOCKER_HOST="tcp://m:2375")
    with pytest.raises(ConfigError, match=r"^\$DOCKER_HOST: docker.host: tcp:// needs"):
        read(BASE, DOCKER_HOST="tcp://m:2375")


def test_the_environment_fills_what_is_absent(read: Read) -> None:
    found = read(
        "vault: {auth: {method: token, token_file: /t}}",
        VAULT_ADDR="https://env:8200/",
        VAULT_NAMESPACE="team",
        VAULT_CACERT="/ca",
        VAULT_TOKEN=CANARY,
        DOCKER_HOST="unix:///other.sock",
    ).settings
    assert found.vault.address == "https://env:8200"
    assert (found.vault.namespace, found.vault.ca_file) == ("team", "/ca")
    assert found.vault.auth == TokenFile("/t")
    assert found.docker.host == "unix:///other.sock"
    assert read(BASE, VAULT_ADDR="https://env").settings.vault.address == "https://vault:8200"


def test_a_wrong_address_of_the_environment_is_blamed_on_it(read: Read) -> None:
    with pytest.raises(ConfigError, match=r"^\$VAULT_ADDR: vault.address:"):
        read("vault: {auth: {method: token, token_file: /t}}", VAULT_ADDR="nowhere")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "just words",
        f"a: '{CANARY}",
        f"a: [{CANARY}",
        f"a: *{CANARY}",
        f"a: !{CANARY} x",
        f"%{CANARY}",
        "a: \x07",
        f"? [{CANARY}]\n: x",
        "secrets: &a {b: *a}",
        "a: 99999-99-99",
        "---\na: 1\n---\nb: 2",
    ],
)
def test_what_is_no_configuration_at_all(read: Read, text: str) -> None:
    assert read.refused(text)


def test_keys_are_text_and_come_once(read: Read) -> None:
    problems = read.refused(BASE + "on: 1\nretain: {versions: 2}\nretain: {versions: 3}")
    assert problems[0] == "2: a key that is not text; put it in quotes"
    assert problems[1] == "4: retain: given twice, also in line 3"


def test_merge_keys_work(read: Read) -> None:
    found = read(
        BASE + "secrets:\n"
        "  a: {kv: {mount: s, path: a, field: f}, services: {x: &file {mode: '0400', uid: '7'}}}\n"
        "  b: {kv: {mount: s, path: b, field: f}, services: {y: {<<: *file, uid: '8'}}}\n"
    )
    assert found.desired.secrets[1].services[0].files == (FileFields(None, "8", None, 0o400),)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope\.yaml: cannot be read .*BRIDGE_CONFIG"):
        load(str(tmp_path / "nope.yaml"), {})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(str(tmp_path / "binary.yaml"), {})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["vault", "auth", "secrets", "kv", "services", "mode", "db", "docker"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_is_written_is_answered(tmp_path_factory: Any, data: object) -> None:
    """No shape of a file ends in anything but a configuration or a list of problems."""
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(json.dumps(data))
    try:
        load(str(file), {})
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - either way is an answer


def test_the_schema_knows_the_whole_contract() -> None:
    schema = json_schema()
    assert set(schema["properties"]) >= {"vault", "docker", "secrets", "trees", "notify", "limits"}
    assert schema["additionalProperties"] is False


@given(st.text(st.sampled_from("{}[]'\"\t\n :-ab|&*!%#,?"), max_size=30))
def test_whatever_is_typed_is_answered(tmp_path_factory: Any, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "typed.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        load(str(file), {})


def test_docker_may_expand_the_content(read: Read) -> None:
    """The engine takes any driver's name, and each task fails with one that it does not know."""
    body = "kv: {mount: s, path: p, field: f}\n    template_driver: "
    content = read(secret(f"{body}golang")).desired.secrets[0].content
    assert content.template_driver == "golang"
    assert content.shape != read(secret(body)).desired.secrets[0].content.shape
    (problem,) = read.refused(secret(f"{body}jinja"))
    assert "template_driver: one of golang is needed" in problem
