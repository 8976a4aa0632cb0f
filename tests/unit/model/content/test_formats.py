"""What a container reads is what a reference library reads back."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dotenv
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.errors import ContentRefused
from bridge.model.content.payload import render
from bridge.model.content.template import mistake_in
from bridge.model.desired import Content, Decode, Format, TrailingNewline

DOTENV = Content(format=Format.DOTENV)
CANARY = "canary-4711"

_CHARACTERS = st.characters(exclude_categories=["Cs"])
_NASTY = st.text(st.sampled_from("'\"\\$`#= \t\nax{}!~é😀;&|<>()*?%"), max_size=12)
_TEXT = st.text(_CHARACTERS, max_size=20) | _NASTY
_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


# --- dotenv ---------------------------------------------------------------------------------------


@given(_NAMES, _TEXT)
def test_python_dotenv_reads_back_what_is_not_refused(name: str, value: str) -> None:
    """With its interpolation, as `load_dotenv()` does it."""
    try:
        written = render({name: value}, DOTENV).reveal().decode()
    except ContentRefused:
        assume(False)
    assert dotenv.dotenv_values(stream=io.StringIO(written)) == {name: value}


def test_a_shell_reads_back_the_same(tmp_path: Path) -> None:
    """POSIX: ``set -a; . ./file``; some thousand values of awkward characters in one go."""
    pick = random.Random(4711)
    fields: dict[str, str] = {}
    lines = []
    while len(fields) < 2000:
        value = "".join(pick.choices("'\"\\$`#= \t\nax{}!~é😀;&|<>()*?%", k=pick.randint(0, 8)))
        name = f"V{len(fields)}"
        try:
            lines.append(render({name: value}, DOTENV).reveal())
        except ContentRefused:
            continue
        fields[name] = value
    file = tmp_path / "file.env"
    file.write_bytes(b"".join(lines))
    program = "import json, os; print(json.dumps({k: v for k, v in os.environ.items()}))"
    done = subprocess.run(
        ["sh", "-euc", 'set -a; . "$1"; exec "$2" -c "$3"', "sh", file, sys.executable, program],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1"},
    )
    read = json.loads(done.stdout)
    assert {name: read.get(name) for name in fields} == fields


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain-1.2/x@y:z", "A=plain-1.2/x@y:z"),
        ("", "A=''"),
        ("two words", "A='two words'"),
        ("pa$$word", "A='pa$$word'"),
        ("it's", 'A="it\'s"'),
        ('"it\'s"', 'A="\\"it\'s\\""'),
        ("-----BEGIN\nx\n-----END", "A='-----BEGIN\nx\n-----END'"),
        ("back\\slash", "A='back\\slash'"),
    ],
)
def test_how_a_value_is_quoted(value: str, line: str) -> None:
    assert render({"A": value}, DOTENV).reveal().decode() == f"{line}\n"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"A": f"{CANARY}\0"}, "FormatCannotHold"),
        ({"A": f"{CANARY}\r\n"}, "FormatCannotHold"),
        ({"A": f"${{{CANARY}}}"}, "FormatCannotHold"),
        ({"A": f"{CANARY}'$"}, "FormatCannotHold"),
        ({"A": f"{CANARY}\\\\"}, "FormatCannotHold"),
        ({"A": f"{CANARY}'\\"}, "FormatCannotHold"),
        ({"A-B": CANARY}, "FormatCannotHold"),
        ({"1A": CANARY}, "FormatCannotHold"),
        ({"A": 1}, "FieldNotText"),
        ({"A": [CANARY]}, "FieldNotText"),
        ({}, "ContentEmpty"),
    ],
)
def test_what_dotenv_cannot_hold_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ContentRefused) as caught:
        render(fields, DOTENV)
    assert caught.value.reason == reason
    assert CANARY not in str(caught.value)


# --- base64 ---------------------------------------------------------------------------------------

_BASE64 = Content(format=Format.RAW, field="cert", decode=Decode.BASE64)
_BASE64URL = Content(format=Format.RAW, field="cert", decode=Decode.BASE64URL)


@given(st.binary(min_size=1))
def test_base64_gives_the_bytes(data: bytes) -> None:
    """As ``base64`` writes it, with its line breaks and its newline at the end."""
    for text in (base64.b64encode(data), base64.encodebytes(data)):
        for written in (text, text.replace(b"=", b"")):
            assert render({"cert": written.decode()}, _BASE64).reveal() == data


@given(st.binary(min_size=1))
def test_base64url_gives_the_bytes(data: bytes) -> None:
    """As web libraries write it, with its padding or without."""
    text = base64.urlsafe_b64encode(data)
    for written in (text, text.rstrip(b"="), text + b"\n"):
        assert render({"cert": written.decode()}, _BASE64URL).reveal() == data


@pytest.mark.parametrize("content", [_BASE64, _BASE64URL])
@pytest.mark.parametrize(
    "text", ["a", "ab=c", "ä", "YQ=", "YR", "YQ===", "+_8=", "=", f"{CANARY}x!", f"{CANARY}+/"]
)
def test_what_is_not_base64_is_refused(content: Content, text: str) -> None:
    """``YR`` has bits that no encoder leaves: its end is missing."""
    with pytest.raises(ContentRefused) as caught:
        render({"cert": text}, content)
    assert caught.value.reason == "NotBase64"
    assert CANARY not in str(caught.value)


def test_an_empty_field_is_empty_however_it_is_decoded() -> None:
    with pytest.raises(ContentRefused) as caught:
        render({"cert": "\n"}, _BASE64)
    assert caught.value.reason == "ContentEmpty"


@pytest.mark.parametrize(
    ("text", "content", "remedy"),
    [("_-8", _BASE64, "`decode: base64url`"), ("/+8", _BASE64URL, "`decode: base64`")],
)
def test_the_other_alphabet_is_answered_with_its_name(
    text: str, content: Content, remedy: str
) -> None:
    with pytest.raises(ContentRefused, match=remedy) as caught:
        render({"cert": text}, content)
    assert caught.value.reason == "NotBase64"


# --- templates ------------------------------------------------------------------------------------


def template(text: str, newline: TrailingNewline = TrailingNewline.KEEP) -> Content:
    """Return what a template asks for."""
    assert not mistake_in(text)
    return Content(format=Format.TEMPLATE, template=text, trailing_newline=newline)


@given(st.text(_CHARACTERS, min_size=1), st.text(_CHARACTERS, min_size=1))
def test_a_dsn_reads_back(username: str, password: str) -> None:
    """Whatever is in a password, `urlencode` keeps it one: also `/`, `@` and `:`."""
    user = "{{ username | urlencode }}:{{ password | urlencode }}"
    dsn = template(f"postgresql://{user}@db:5432/shop")
    text = render({"username": username, "password": password}, dsn).reveal().decode()
    parts = urlsplit(text)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (username, password)
    assert (parts.hostname, parts.port, parts.path) == ("db", 5432, "/shop")


@given(st.dictionaries(_NAMES, _TEXT, min_size=1), _TEXT)
def test_json_in_a_template_reads_back(fields: dict[str, str], value: str) -> None:
    text = render({**fields, "value": value}, template('{"a": {{ value | tojson }}}')).reveal()
    assert json.loads(text) == {"a": value}


def test_what_a_template_prints() -> None:
    fields = {"host": "db", "port": 5432, "tls": True, "users": ["a", "b"], "html": "<&>"}
    assert render(fields, template("{{ host }}:{{ port }} {{ tls }} {{ html }}")).reveal() == (
        b"db:5432 true <&>"
    )
    each = template("{% for user in users %}{{ user }};{% endfor %}\n")
    assert render(fields, each).reveal() == b"a;b;\n"
    assert render(fields, template("{{ nothing | default('x') }}")).reveal() == b"x"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ user }} {{ other.x }}", "FieldMissing"),
        ("{{ map[password] }}", "FieldMissing"),
        ("{{ none_field }}", "TemplateFailed"),
        ("{{ map }}", "TemplateFailed"),
        ("{{ password.__class__.__mro__ }}", "TemplateFailed"),
        ("{{ password + 1 }}", "TemplateFailed"),
        ("{% if false %}x{% endif %}", "ContentEmpty"),
    ],
)
def test_a_template_that_fails_says_so_without_a_value(text: str, reason: str) -> None:
    """I6: jinja2's own words may quote a value, as in ``no attribute '<the password>'``."""
    fields = {"password": CANARY, "map": {"a": CANARY}, "none_field": None}
    with pytest.raises(ContentRefused) as caught:
        render(fields, template(text))
    assert caught.value.reason == reason
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["namespace", "range", "dict", "cycler", "joiner", "lipsum", "loop"]
)
def test_a_name_of_jinja_s_own_hides_no_field(name: str) -> None:
    """Else ``<class 'range'>`` would be rolled in place of a field that is missing."""
    for text in (
        f"{{{{ {name} }}}}",
        f"{{{{ {name} | urlencode }}}}",
        f"{{{{ fields['{name}'] }}}}",
    ):
        with pytest.raises(ContentRefused, match=f"names '{name}'") as caught:
            render({"password": "x"}, template(text))
        assert caught.value.reason == "FieldMissing"
        assert render({name: "x"}, template(text)).reveal() == b"x"
    assert render({"a": "x"}, template(f"{{{{ {name} | default('y') }}}}")).reveal() == b"y"


def test_jinja_s_functions_are_there_where_they_are_called() -> None:
    text = (
        "{% set sum = namespace(n=0) %}"
        "{% for i in range(3) %}{% set sum.n = sum.n + i %}{% endfor %}"
        "{{ sum.n }}{% set comma = joiner(',') %}{{ comma() }}{{ comma() }}{{ dict(a=1).a }}"
    )
    assert render({"a": "x"}, template(text)).reveal() == b"3,1"


def test_any_field_is_reached_by_its_name_as_text() -> None:
    fields = {"tls.crt": "c", "db-password": "p", "fields": "f", "items": "i", "self": "s"}
    text = "".join(f"{{{{ fields['{name}'] }}}}" for name in fields)
    assert render(fields, template(text)).reveal() == b"cpfis"
    everything = template(
        "{% for name, value in fields | dictsort %}{{ name }}={{ value }};{% endfor %}"
    )
    assert render(fields, everything).reveal() == (
        b"db-password=p;fields=f;items=i;self=s;tls.crt=c;"
    )
    assert (
        render({"tls": {"crt": "c"}}, template("{{ tls.crt }}{{ fields.tls.crt }}")).reveal()
        == b"cc"
    )


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{{ tls.crt }}", "tls.crt"),
        ("{{ tls.crt | urlencode }}", "tls.crt"),
        ("{{ key-1 }}", "key-1"),
        ("{{ fields }}", "fields"),
    ],
)
def test_a_field_that_is_not_reached_is_named_with_what_reaches_it(text: str, field: str) -> None:
    with pytest.raises(ContentRefused) as caught:
        render({field: CANARY, "key": CANARY}, template(text))
    assert f'fields["{field}"]' in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ db-password }}",
        "{{ db-password | urlencode }}",
        "{{- db-password -}}",
        "{% if db-password %}x{% endif %}",
        "a\n{{ tls-key.pem }}",
        "{{ x ~ db-admin-password }}",
        "{{ db/password }}",
    ],
)
def test_a_name_that_reads_as_a_difference_is_a_mistake_of_the_template(text: str) -> None:
    """Before any version is read; the field may be there all right."""
    (name,) = re.findall(r"[a-z]+[-/][a-z.-]+[a-z]", text)
    line = text.count("\n") + 1
    mistake = mistake_in(text)
    assert mistake.startswith(f"line {line} of the template: `{name}` ")
    assert f'fields["{name}"]' in mistake


@pytest.mark.parametrize(
    "text",
    [
        "{{ port - offset }}",
        "{{ port-1 }}",
        "{{ 'db-password' }} db-password {# db-password #}",
        "{{ fields['db-password'] }}",
        "{% for x in xs %}{{ loop.length-loop.index }}{% endfor %}",
        "{% set a = 1 %}{% set b = 2 %}{{ a-b }}",
        "{% raw %}{{ db-password }}{% endraw %}",
    ],
)
def test_a_difference_that_is_meant_is_none(text: str) -> None:
    assert not mistake_in(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ env('X') }}", "`env`"),
        ("{{ lookup('file', 'x') }}", "`lookup`"),
        ("{{ self }}", 'fields["self"]'),
        ("{{ user@host }}", 'fields["'),
        ("{{ my field }}", 'fields["'),
        ("{% include 'x' %}", "other files"),
        ("{% from 'x' import y %}", "other files"),
    ],
)
def test_what_a_template_cannot_have_is_answered_with_what_it_can(text: str, words: str) -> None:
    assert words in mistake_in(text)


@pytest.mark.parametrize(("value", "text"), [(True, b"true"), (5, b"5"), ("a/b", b"a%2Fb")])
def test_what_goes_into_a_url_is_written_as_it_is_printed(value: object, text: bytes) -> None:
    assert render({"a": value}, template("{{ a | urlencode }}")).reveal() == text


@pytest.mark.parametrize("value", [None, ["a"], {"a": "b"}])
def test_what_is_not_printed_goes_into_no_url(value: object) -> None:
    with pytest.raises(ContentRefused, match="tojson"):
        render({"a": value}, template("{{ a | urlencode }}"))


_TOKENS = """{{ }} {% %} {# #} - . / | ( ) [ ] 'a' a b-c fields range self loop if for in set = + ~
1 1.5 endif endfor default urlencode raw endraw"""


@given(
    st.lists(st.sampled_from(_TOKENS.split()), max_size=10),
    st.sampled_from(["", " ", "\n"]),
    st.booleans(),
)
def test_whatever_a_template_is_it_is_answered(words: list[str], gap: str, whole: bool) -> None:
    """A mistake, a refusal or a content; of names that are not read as they look, too."""
    text = gap.join(["{{", *words, "}}"] if whole else words)
    if mistake_in(text):
        return
    with contextlib.suppress(ContentRefused):
        render({"a": CANARY, "b": 1, "b-c": CANARY}, template(text))


def test_the_sandbox_keeps_what_is_given_as_it_is() -> None:
    with pytest.raises(ContentRefused):
        render({"users": ["a"]}, template("{{ users.append('b') }}"))


@pytest.mark.parametrize(
    ("asked", "there", "remedy"),
    [
        ("Password", "password", "did you mean 'password'?"),
        ("db_password", "db-password", "did you mean 'db-password'?"),
        ("password ", "password", "did you mean 'password'?"),
    ],
)
def test_a_field_of_nearly_this_name_is_named(asked: str, there: str, remedy: str) -> None:
    """No other is: who mixed up name and value would see the value."""
    fields = {there: "x", f"{asked}1": CANARY}
    for content in (
        Content(format=Format.RAW, field=asked),
        template(f"{{{{ fields['{asked}'] }}}}"),
    ):
        with pytest.raises(ContentRefused) as caught:
            render(fields, content)
        assert caught.value.reason == "FieldMissing"
        assert remedy in str(caught.value)
        assert f"{asked}1" not in str(caught.value)


def test_a_template_is_told_how_it_reaches_a_field_of_nearly_this_name() -> None:
    with pytest.raises(ContentRefused, match=r'fields\["db-password"\]'):
        render({"db-password": "x"}, template("{{ db_password }}"))


# --- the end of the content -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "newline", "data"),
    [
        ("a\n", "keep", b"a\n"),
        ("a", "keep", b"a"),
        ("a\r\n\n", "strip", b"a"),
        ("a", "strip", b"a"),
        ("a", "add", b"a\n"),
        ("a\n", "add", b"a\n"),
    ],
)
def test_the_newline_at_the_end(text: str, newline: str, data: bytes) -> None:
    for content in (
        Content(format=Format.RAW, field="a", trailing_newline=TrailingNewline(newline)),
        template("{{ a }}", TrailingNewline(newline)),
    ):
        assert render({"a": text}, content).reveal() == data


def test_what_is_only_newlines_is_empty_once_they_are_gone() -> None:
    content = Content(format=Format.RAW, field="a", trailing_newline=TrailingNewline.STRIP)
    with pytest.raises(ContentRefused) as caught:
        render({"a": "\n\n"}, content)
    assert caught.value.reason == "ContentEmpty"


@pytest.mark.parametrize(
    "form", [Content(format=Format.RAW, field="a"), Content(format=Format.JSON), DOTENV]
)
def test_halves_of_surrogate_pairs_are_refused_without_a_value(form: Content) -> None:
    """Python's own error quotes the text and keeps it."""
    with pytest.raises(ContentRefused) as caught:
        render({"a": f"{CANARY}\ud800"}, form)
    assert caught.value.reason == "FormatCannotHold"
    assert CANARY not in str(caught.value)


def test_another_shape_deserves_another_look() -> None:
    """A verdict on one way to make the content says nothing of another."""
    shapes = [
        Content(format=Format.RAW, field="a"),
        Content(format=Format.RAW, field="b"),
        Content(format=Format.RAW, field="a", decode=Decode.BASE64),
        Content(format=Format.RAW, field="a", decode=Decode.BASE64URL),
        Content(format=Format.RAW, field="a", trailing_newline=TrailingNewline.ADD),
        Content(format=Format.JSON),
        DOTENV,
        template("a"),
        template("b"),
    ]
    assert len({content.shape for content in shapes}) == len(shapes)


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        (Content(format=Format.RAW, field="a"), "raw:a"),
        (Content(format=Format.RAW, field="a", decode=Decode.BASE64), "raw:a:decode=base64"),
        (Content(format=Format.JSON, trailing_newline=TrailingNewline.ADD), "json:add"),
        (template("a"), "template:ca978112ca1bbdca"),
    ],
)
def test_a_shape_is_written_the_same_for_ever(content: Content, shape: str) -> None:
    """It is a label: another way to write it would show every secret as changed."""
    assert content.shape == shape
