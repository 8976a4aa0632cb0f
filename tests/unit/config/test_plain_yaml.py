"""What libyaml reads is what PyYAML's own loader reads, line by line; the rest is left to that."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.config import load, plain_yaml
from bridge.config.plain_yaml import Key, read_plain
from bridge.config.yaml_file import read, read_any
from bridge.errors import ConfigError
from bridge.keys.written import WrittenInt
from tests.support.lab import ROOT

_EXAMPLE = (ROOT / "config" / "bridge.example.yaml").read_text()

pytestmark = pytest.mark.skipif(
    not yaml.__with_libyaml__, reason="PyYAML was built without libyaml here"
)


def whole(value: Any) -> Any:
    """Return a value with its type at each place, and how its numbers are written."""
    match value:
        case dict():
            return {key: whole(each) for key, each in value.items()}
        case list():
            return [whole(each) for each in value]
        case WrittenInt():
            return int(value), value.text
        case float():
            return repr(value)
        case _:
            return type(value), value


def both_agree(text: str) -> bool:
    """Compare both readers; returns whether libyaml's was asked and has read it."""
    lines: dict[Key, int] = {}
    plain = read_plain(text, lines)
    if plain is None:
        return False
    by_python = read_any("f", text)
    assert by_python.problems == []
    assert whole(plain) == whole(by_python.data)
    assert lines == by_python.lines
    assert read_plain(text) == plain
    return True


_WORDS = st.sampled_from(
    [
        *("vault", "kv", "secrets", "a b", "x#y", "http://h:8200", "0400", "0o17", "1_000", "1.5"),
        *("yes", "null", "~", "", "=", "<<", "-", "--", "---", "...", "?", "?a", "a?", ":", ":a"),
        *("a:", "a:b", "{{ user }}", "%", "@", "`", "!", "&a", "*a", "'", '"', "a'b", "é€", "\\n"),
        *("2024-01-02", "12:30:45", "0x1F", "-7", "+.inf", "key: value", "# no", "a #b", "|", ">-"),
        *("[", "]", "{", "}", ",", "a,b", " lead", "trail ", "two\nlines", "end\n", "\n", "a\n\nb"),
    ]
)
_DATA = st.recursive(
    _WORDS | st.integers(-9, 99) | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(_WORDS, _DATA, min_size=1, max_size=4),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, "'", '"', "|", ">"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(12, 90),
)
def test_files_that_were_written_by_a_library(
    data: dict[str, Any], flow: bool | None, style: str | None, newline: str, width: int
) -> None:
    text = yaml.safe_dump(
        data, default_flow_style=flow, default_style=style, width=width, allow_unicode=True
    )
    both_agree(text.replace("\n", newline))


_PIECES = st.sampled_from(
    [
        *("a", "b", "key", "0400", "null", "yes", "<<", "=", "1", "é", "{{ x }}", "http://x:1"),
        *(": ", ":", "- ", "-", "? ", "?", ", ", ",", "[", "]", "{", "}", "#", " # c", "'", '"'),
        *("\n", "\n  ", "\n    ", "\n- ", "\n  - ", "\n\n", "\r\n", "\r", " ", "  ", "\t", "\\"),
        *(
            "&a ",
            "*a",
            "!",
            "!!str ",
            "|",
            ">",
            "|-",
            "|2",
            "---",
            "...",
            "\n---\n",
            "\n...\n",
            "%",
        ),
        *("%", "@", "`", "~", "\ufeff", "\x85", "\u2028", "\xa0", "\x07", "\U0001f511"),
    ]
)


def _lined(rows: list[tuple[int, list[str]]]) -> str:
    """Return lines that begin with a key of their own, most of which fit together."""
    return "".join(
        f"{'  ' * indent}k{number}: {''.join(pieces)}\n"
        for number, (indent, pieces) in enumerate(rows)
    )


_ROWS = st.lists(st.tuples(st.integers(0, 2), st.lists(_PIECES, max_size=5)), max_size=5)


@given(st.lists(_PIECES, max_size=12).map("".join) | _ROWS.map(_lined))
@example("a: {b: c?d}")
@example("a: [b?, c]")
@example("a:\tb")
@example("a: |#\n  b")
@example("\ufeffa: b")
@example("a: b\u2028c: d")
@example("a: {b: c}\n\n\n")
@example("a: b\n...\n# end")
@example("%YAML 1.1\n---\na: b\n")
def test_files_of_any_kind(text: str) -> None:
    try:
        both_agree(text)
    except ConfigError as error:
        raise AssertionError(f"libyaml reads what PyYAML's loader refuses: {error}") from None


@functools.cache
def _lines_of_example() -> tuple[str, ...]:
    return tuple(_EXAMPLE.splitlines(keepends=True))


@given(st.data())
def test_a_file_in_which_something_was_broken(data: st.DataObject) -> None:
    lines = list(_lines_of_example())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        column = data.draw(st.integers(0, len(lines[at])))
        cut = data.draw(st.integers(0, 2))
        piece = data.draw(_PIECES | st.just(""))
        lines[at] = lines[at][:column] + piece + lines[at][column + cut :]
    try:
        both_agree("".join(lines))
    except ConfigError as error:
        raise AssertionError(f"libyaml reads what PyYAML's loader refuses: {error}") from None


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: {<<: {b: 1}}\n",
        "a: !!str 1\n",
        "a: 1\na: 2\n",
        "1: a\n",
        "{a: b}: c\n",
        "- a\n",
        "",
        "a: 1\n---\nb: 2\n",
        "a:\tb\n",
        "a: [b?]\n",
        "a: [",
    ],
)
def test_what_is_not_plain_is_left_to_the_other_reader(text: str) -> None:
    assert read_plain(text) is None


def test_the_example_is_plain_and_its_lines_are_found_when_one_is_asked_for() -> None:
    assert both_agree(_EXAMPLE)
    source = read(str(ROOT / "config" / "bridge.example.yaml"))
    assert source.lines == {}
    number = _EXAMPLE[: _EXAMPLE.index("\nsecrets:") + 1].count("\n") + 1
    assert source.line(("secrets",)) == number
    assert source.line(("secrets", "none", "such")) == number


def test_without_libyaml_all_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(_EXAMPLE)
    mistaken = tmp_path / "mistaken.yaml"
    mistaken.write_text(_EXAMPLE.replace("secrets:", "rollouts: 1\nsecrets:"))

    def said() -> tuple[str, ...]:
        with pytest.raises(ConfigError) as raised:
            load(str(mistaken), {})
        return tuple(map(str, raised.value.problems))

    with_it, its_words = load(str(file), {}), said()
    monkeypatch.setattr(plain_yaml, "_LOADER", None)
    assert read_plain(_EXAMPLE) is None
    assert load(str(file), {}) == with_it
    assert said() == its_words


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "deep.yaml"
    file.write_text("a: " + "[" * 5000)
    with pytest.raises(ConfigError, match=r"nested too deeply|not YAML"):
        load(str(file), {})


@pytest.mark.parametrize("count", [1, 199, 200, 201, 450])
def test_secrets_that_are_checked_in_parts_are_all_there_in_their_order(
    tmp_path: Path, count: int
) -> None:
    names = [f"s{number}" for number in reversed(range(count))]
    entry = '  {0}: {{kv: {{mount: secret, path: "{0}", field: v}}}}\n'
    base = "vault: {address: 'https://v:8200', auth: {method: token, token_file: t}}\nsecrets:\n"
    file = tmp_path / "bridge.yaml"
    file.write_text(base + "".join(map(entry.format, names)))
    assert [secret.name for secret in load(str(file), {}).desired.secrets] == names
    wrong = [names[0], names[-1]]
    file.write_text(base + "".join(entry.format(n).replace("field", "feild") for n in names))
    with pytest.raises(ConfigError) as raised:
        load(str(file), {})
    said = [str(problem) for problem in raised.value.problems]
    assert len({text.split(":")[1] for text in said}) == count
    for name in wrong:
        assert any(f"secrets.{name}.kv.feild: unknown key" in text for text in said)
