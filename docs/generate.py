"""Writes the parts of the reference that the code itself knows: ``make docs``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bridge.cli import cli
from bridge.cli.shared import COMMON
from bridge.config import json_schema
from bridge.config.rules import is_built
from bridge.errors import Exit
from bridge.report.engine_policy import haproxy, table
from bridge.report.log_schema import event_table, field_table, log_schema
from bridge.report.metric_list import METRICS, Metric
from bridge.report.remedies import read_page
from bridge.report.stack import template

ROOT = Path(__file__).parents[1]
_GENERATED = "<!-- Made from the code by `make docs`; change it there. -->"

Json = dict[str, Any]


def pages() -> dict[Path, str]:
    """Return each generated file with its text."""
    schema = json_schema()
    return {
        ROOT / "config/schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        ROOT / "config/log-line.schema.json": json.dumps(log_schema(), indent=2) + "\n",
        ROOT / "docs/reference/log.md": "\n".join(_log()) + "\n",
        ROOT / "docs/reference/configuration.md": "\n".join(_configuration(schema)) + "\n",
        ROOT / "bridge/report/remedies.json": json.dumps(
            read_page((ROOT / "docs/reference/reasons.md").read_text()), indent=2
        )
        + "\n",
        ROOT / "compose/bridge.yml": template(),
        ROOT / "compose/haproxy.cfg": haproxy(),
        ROOT / "docs/reference/engine-calls.md": "\n".join(_engine_calls()) + "\n",
        ROOT / "docs/reference/metrics.md": "\n".join(_metrics()) + "\n",
        ROOT / "docs/reference/commands.md": "\n".join(_commands()) + "\n",
    }


# --- the configuration ----------------------------------------------------------------------------


def _configuration(schema: Json) -> Iterator[str]:
    yield _GENERATED
    yield "# The configuration file"
    yield ""
    yield (
        "One YAML file: the one that `-c` names, else `$BRIDGE_CONFIG`, else"
        " `/etc/vault-bridge/bridge.yaml`. Unknown keys, keys given twice and wrong types are"
        " refused, all mistakes at once, each with its line and never with its value. Files that"
        " `*_file` keys name are read again when they are needed; relative paths are meant from the"
        " configuration file's folder. Keys marked *not built yet* are"
        " known, and refused as such."
    )
    yield ""
    yield (
        "Durations carry their unit: `500ms`, `10s`, `1m30s`, `24h`, `90d`. Slashes at the ends of"
        " mounts, paths and namespaces do not matter: Vault lists them as `secret/`. Editors that"
        " know the YAML language server complete and check the file by its first line,"
        " `# yaml-language-server: $schema=schema.json`, with the path of"
        " [schema.json](../../config/schema.json)."
    )
    yield from _section(schema, schema, ())


def _section(schema: Json, model: Json, place: tuple[str, ...]) -> Iterator[str]:
    """Write a model's table, and then the sections of what lies below it."""
    yield ""
    yield f"## `{_dotted(place)}`" if place else "## The top"
    yield ""
    later = "" if is_built(place) else "*Not built yet.* "
    yield later + " ".join(model["description"].split())
    yield ""
    yield "| key | what it takes | default | meaning |"
    yield "| --- | --- | --- | --- |"
    below: list[tuple[tuple[str, ...], Json]] = []
    for key, field in model["properties"].items():
        here = (*place, key)
        takes, models = _takes(schema, field, here)
        below += models
        default = f"`{_text(field['default'])}`" if "default" in field else "-"
        if key in model.get("required", ()):
            default = "required"
        meaning = field.get("description") or (models[0][1]["description"] if models else "")
        if not is_built(here):
            meaning = f"*Not built yet.* {meaning}"
        yield f"| `{key}` | {takes} | {default} | {' '.join(meaning.split())} |"
    for here, child in below:
        yield from _section(schema, child, here)


def _takes(
    schema: Json, field: Json, place: tuple[str, ...]
) -> tuple[str, list[tuple[tuple[str, ...], Json]]]:
    """Say in words what a field takes, and which models lie below it."""
    if "$ref" in field:
        model: Json = schema["$defs"][field["$ref"].rsplit("/", 1)[1]]
        method = model["properties"].get("method", {}).get("const")
        at = (*place[:-1], f"{place[-1]} (method: {method})") if method else place
        return "a section", [(at, model)]
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        taken = [_takes(schema, o, place) for o in options if o.get("type") != "null"]
        words = list(dict.fromkeys(words for words, _ in taken))
        found: list[tuple[tuple[str, ...], Json]] = []
        for at, model in (each for _, models in taken for each in models):
            if all(model != known for _, known in found):
                found.append((at, model))
        return " or ".join(words), found
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum") or [field["const"]]), []
    if field.get("type") == "array":
        each, models = _takes(schema, field["items"], (*place[:-1], f"{place[-1]}[]"))
        plural = f"{each.removeprefix('a ')}s" if each.startswith("a ") else each
        return f"a list of {plural}", models
    if isinstance(field.get("additionalProperties"), dict):
        each, models = _takes(schema, field["additionalProperties"], (*place, "*"))
        return f"{each} for each name", models
    return _scalar(field), []


def _scalar(field: Json) -> str:
    pattern = field.get("pattern", "")
    if "ms|s|m|h|d" in pattern:
        return "a duration"
    if pattern.startswith("^0o"):
        return "an octal mode"
    kinds = {"string": "a text", "integer": "a whole number", "number": "a number"}
    kinds["boolean"] = "`true` or `false`"
    return kinds[field["type"]]


def _text(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else f"{default}"


def _dotted(place: tuple[str, ...]) -> str:
    return ".".join(place).replace("*", "NAME")


# --- the metrics ----------------------------------------------------------------------------------


def _metrics() -> Iterator[str]:
    yield _GENERATED
    yield "# Metrics"
    yield ""
    yield (
        "`/metrics` exposes these where `http.listen` is set: [how to monitor the bridge]"
        "(../how-to/monitor.md). Times are Unix times, so `time() - …` is an age, and `… - time()`"
        " the time that is left. Counters start at 0 with the process. No label and no metric"
        " contains the value of a secret, a lease id or an accessor."
    )
    yield ""
    yield (
        "In OpenMetrics format, which Prometheus asks for, lags, and the durations and outcomes of"
        " rolls, have exemplars. Their label `rotation` names the rotation that was measured last,"
        " as in [the log](log.md)."
    )
    yield ""
    yield (
        "Labels have few values: names from the configuration, states and reasons, and the numbers"
        " of generations whose credential is valid. What you remove from the configuration"
        " disappears from the metrics, even while the swarm keeps its versions;"
        " `vault_bridge_unmapped_secrets` counts those."
    )
    yield from _metric_table("Each bridge", [m for m in METRICS if not m.leader])
    yield ""
    yield (
        "And `process_cpu_seconds_total`, `process_open_fds`, `process_max_fds`,"
        " `process_resident_memory_bytes`, `process_virtual_memory_bytes` and"
        " `process_start_time_seconds`, as in every Prometheus client library."
    )
    yield from _metric_table("The bridge that leads", [m for m in METRICS if m.leader])


def _metric_table(title: str, metrics: Sequence[Metric]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield "| metric | type | labels | meaning |"
    yield "| --- | --- | --- | --- |"
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        yield f"| `{metric.full}` | {metric.kind} | {labels} | {metric.text} |"


# --- the calls of the engine ----------------------------------------------------------------------


def _engine_calls() -> Iterator[str]:
    yield _GENERATED
    yield "# Calls of the engine"
    yield ""
    yield (
        "All that the bridge asks of the engine's API. Its calls are made from this list, and so"
        " are the rules that `vault-bridge policy --engine` prints for a filtering proxy: what is"
        " not here gets no further than 403. Each path begins with the API version, `/v1.41` or a"
        " newer one; the question for that version may go without. Queries are shown as they are"
        " encoded, as regular expressions, and a call has no other. Ids are whole ones."
    )
    yield ""
    yield from table()
    yield ""
    yield (
        "What such a proxy does not protect from, and how to narrow it further, is in"
        " [A proxy before the engine](../explanation/engine-proxy.md)."
    )


# --- the log --------------------------------------------------------------------------------------


def _log() -> Iterator[str]:
    yield _GENERATED
    yield "# The log"
    yield ""
    yield (
        "One line for each fact, on stderr: JSON, or text where stderr is a terminal."
        " `--log-format json|text` or `$BRIDGE_LOG_FORMAT` chooses, and `--log-level"
        " debug|info|warning|error` or `$BRIDGE_LOG_LEVEL` omits lines below a level. Names of"
        " events and fields are stable: the changelog lists each change of one."
        " [log-line.schema.json](../../config/log-line.schema.json) is the JSON Schema of a line."
        " No line contains a value, a lease id or an accessor."
    )
    yield ""
    yield "## Follow a rotation"
    yield ""
    yield (
        "`rotation` names one version of one secret on its way from Vault to every service, such as"
        " `shop_db@7-k3qz`: the secret, the version, and a suffix that differs for another source,"
        " another instance, or a path that was deleted and written anew. The log, the status page,"
        " the metrics and the evidence use the same name. A roll back belongs to the rotation of"
        " the version that the service leaves. What happens to a former credential belongs to the"
        " rotation that brought it."
    )
    yield ""
    yield "```sh"
    yield "docker service logs --raw bridge_bridge 2>&1 | grep shop_db@7"
    yield "```"
    yield ""
    yield "## Fields"
    yield ""
    yield from field_table()
    yield ""
    yield "## Events"
    yield ""
    yield from event_table()


# --- the commands ---------------------------------------------------------------------------------


def _commands() -> Iterator[str]:
    yield _GENERATED
    yield "# Commands"
    yield ""
    yield (
        "`vault-bridge`, or `python -m bridge`. Every command takes these options, before or after"
        " its name; where one is given twice, the last one counts. `vault-bridge --version` prints"
        " the version."
    )
    yield ""
    yield from _options(COMMON)
    yield ""
    yield (
        'With `--json`, operators\' commands print `{"asked": …, "done": …}`; `done` is true where'
        " `--wait` has seen the command carried out."
    )
    for name, command in sorted(cli.commands.items()):
        yield ""
        yield f"## `vault-bridge {name}`"
        yield ""
        yield from (line.strip() for line in (command.help or "").strip().splitlines())
        yield ""
        yield from _options([option for option in command.params if option not in COMMON])
    yield ""
    yield "## Exit codes"
    yield ""
    yield "Where several apply, the highest."
    yield ""
    yield "| code | meaning |"
    yield "| --- | --- |"
    for code in Exit:
        yield f"| {code.value} | {_MEANINGS[code]} |"


_MEANINGS = {
    Exit.DONE: "done",
    Exit.UNEXPECTED: "an unexpected error; the log has a traceback without values. Of `health`:"
    " the bridge is stuck or gone",
    Exit.USAGE: "the command line or the configuration is wrong",
    Exit.HELD: "something is held or was refused; `status` has the reason",
    Exit.UNREACHABLE: "Vault or the swarm is not reachable, or Vault refuses our login",
    Exit.ROLL_FAILED: "a roll failed",
    Exit.CHANGES: "`plan --exit-code` only: there are changes",
}


def _options(parameters: Sequence[click.Parameter]) -> Iterator[str]:
    options = [p for p in parameters if isinstance(p, click.Option)]
    if not options:
        yield "No options of its own."
        return
    yield "| option | meaning |"
    yield "| --- | --- |"
    for option in options:
        names = ", ".join(f"`{name}`" for name in option.opts)
        value = f" `{option.make_metavar(click.Context(cli))}`" if not option.is_flag else ""
        default = f" Default: `{option.default}`." if option.show_default else ""
        yield f"| {names}{value} | {option.help}{default} |"


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text)
