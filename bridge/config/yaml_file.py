"""A YAML file as plain data that knows on which line each key stands.

PyYAML takes the last of two equal keys without a word and drops the lines; both matter here. A file
without mistakes is read by libyaml (``plain_yaml``), and its lines are found when one is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bridge.config.plain_yaml import Key, read_plain, scalar
from bridge.errors import ConfigError, Problem


@dataclass(slots=True)
class Source:
    """What stands in a configuration file.

    Attributes:
        file: The path as the user gave it.
        data: Mappings, lists and scalars; whole numbers are ``WrittenInt``.
        problems: Duplicate keys and keys that are not text.
        text: The file, where it is plain, so that its lines can be found.
        lines: The line of each key and list item, counted from 1, as far as they were found.
    """

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    text: str = field(default="", repr=False)
    lines: dict[Key, int] = field(default_factory=dict)

    def line(self, key: Key) -> int:
        """Return the line of a key, or of the nearest one above it that is there."""
        if not self.lines and self.text:
            read_plain(self.text, self.lines)
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1 if key else 0)

    def line_of(self, place: str) -> int:
        """Return the line of a key as ``dotted`` writes it, the nearest one above; 0 for none.

        Of several, as in ``secrets.a, secrets.b``, it is the first one's.
        """
        key: list[str | int] = []
        data: Any = self.data
        rest = place.partition(", ")[0]
        while rest and isinstance(data, dict):
            # A name may have dots in it.
            names = [name for name in data if f"{rest}.".startswith(f"{name}.")]
            if not names:
                break
            name = max(names, key=len)
            key.append(name)
            data, rest = data[name], rest.removeprefix(name).removeprefix(".")
        return self.line(tuple(key)) if key else 0

    def problem(self, key: Key, message: str) -> Problem:
        """Name a mistake at a key."""
        return Problem(self.file, self.line(key), dotted(key), message)


def dotted(key: Key) -> str:
    """Write a key as users do: ``notify[0].format``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read(file: str) -> Source:
    """Read a YAML file; nothing of its contents is quoted in an error.

    Raises:
        ConfigError: It cannot be read or is not YAML. Other mistakes are in ``problems``.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError((Problem(file, 0, "", "it is not text in UTF-8"),)) from None
    except OSError as error:
        message = f"cannot be read ({error.strerror}): name the file with -c or $BRIDGE_CONFIG"
        raise ConfigError((Problem(file, 0, "", message),)) from None
    plain = read_plain(text)
    return read_any(file, text) if plain is None else Source(file, plain, text=text)


def read_any(file: str, text: str) -> Source:
    """Read any YAML, by PyYAML's own loader; otherwise as ``read``."""
    source = Source(file)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if isinstance(root, yaml.MappingNode):
            source.data = _Reader(loader, source).value(root, ())
        elif root is not None:
            message = "a mapping is needed: keys such as `vault:` and `secrets:`"
            source.problems.append(Problem(file, 1, "", message))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise ConfigError((Problem(file, line, "", _not_yaml(error, text, line)),)) from None
    except RecursionError:
        raise ConfigError((Problem(file, 0, "", "it is nested too deeply"),)) from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError((Problem(file, 0, "", "not YAML: it cannot be parsed"),)) from None
    return source


_BRACES = (
    "text with `{{` goes in quotes that it does not have in it, or below `|-` into lines of its own"
)


def _not_yaml(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    """Return a problem with its place, and what to write where the line shows what was meant."""
    problem = error.problem or "it cannot be parsed"
    if repr("\t") in problem:
        return "not YAML: a tab stands where YAML takes spaces only"
    written = "".join(text.splitlines()[max(0, line - 1) : line])
    meant = _BRACES if "{{" in written else ""
    return "; ".join(filter(None, (f"not YAML: {_without_quotes(problem)}", meant)))


def _without_quotes(problem: str) -> str:
    """Drop what PyYAML quotes from the file: it may be part of a credential."""
    return problem.split("'", 1)[0].removesuffix("but found ").rstrip(" ,:")


class _Reader:
    def __init__(self, loader: yaml.SafeLoader, source: Source) -> None:
        self._loader = loader
        self._source = source
        self._open: set[int] = set()

    def value(self, node: yaml.Node, at: Key) -> Any:
        if id(node) in self._open:
            self._source.problems.append(self._source.problem(at, "it contains itself"))
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, at)
            if isinstance(node, yaml.SequenceNode):
                return [self._item(child, (*at, i)) for i, child in enumerate(node.value)]
            return scalar(self._loader, node)
        finally:
            self._open.discard(id(node))

    def _item(self, node: yaml.Node, at: Key) -> Any:
        self._source.lines[at] = node.start_mark.line + 1
        return self.value(node, at)

    def _mapping(self, node: yaml.MappingNode, at: Key) -> dict[str, Any]:
        self._refuse_duplicates(node, at)
        self._loader.flatten_mapping(node)
        read: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = scalar(self._loader, key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                message = "a key that is not text; put it in quotes"
                if isinstance(key_node, yaml.MappingNode):
                    message = _BRACES
                self._source.problems.append(Problem(self._source.file, line, dotted(at), message))
                continue
            self._source.lines[(*at, key)] = line
            read[key] = self.value(value_node, (*at, key))
        return read

    def _refuse_duplicates(self, node: yaml.MappingNode, at: Key) -> None:
        """Before merge keys (``<<``) are resolved: overriding a merged key is what they are for."""
        first: dict[str, int] = {}
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                line = key_node.start_mark.line + 1
                if key_node.value in first:
                    message = f"given twice, also in line {first[key_node.value]}"
                    key = dotted((*at, key_node.value))
                    self._source.problems.append(Problem(self._source.file, line, key, message))
                first.setdefault(key_node.value, line)
