"""The command for auditors: it reads, verifies and shows the evidence."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.shared import Options, command, console, print_json
from bridge.errors import BridgeError, ConfigError, Exit

if TYPE_CHECKING:
    from bridge.config import Configuration
    from bridge.evidence.chain import Check, Line, Record, Verdict
    from bridge.evidence.reading import Wanted
    from bridge.model.audit_head import AuditHead


class NoEvidence(BridgeError):
    """There is nothing to read."""

    exit_code = Exit.USAGE


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """Return a time of the command line, seconds since the epoch; a date alone is its midnight."""
    from bridge.model.timestamps import instant

    if text is None:
        return None
    try:
        return instant(f"{text}T00:00:00Z" if "T" not in text else text) / 1e9
    except ValueError:
        raise click.BadParameter("a date or a time is needed, as 2026-11-01") from None


@command
@click.argument("files", nargs=-1, metavar="[FILE|-]...")
@click.option("--secret", default="", metavar="NAME", help="Show the records of one secret.")
@click.option("--service", default="", metavar="NAME", help="Show the records of one service.")
@click.option(
    "--since", metavar="TIME", callback=_moment, help="Show records from this time on, in UTC."
)
@click.option(
    "--until", metavar="TIME", callback=_moment, help="Show records before this time, in UTC."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--report", "as_page", is_flag=True, help="Print a report in Markdown.")
@click.option(
    "--public-key",
    metavar="FILE",
    help="Verify signatures with the public key in this file, without Vault.",
)
@click.option("--partial", is_flag=True, help="Accept a chain that begins later.")
@click.option(
    "--offline", is_flag=True, help="Ask neither the swarm for the chain's end nor Vault to verify."
)
@click.pass_obj
def evidence(
    options: Options,
    *,
    files: tuple[str, ...],
    secret: str,
    service: str,
    since: float | None,
    until: float | None,
    as_csv: bool,
    as_page: bool,
    public_key: str | None,
    partial: bool,
    offline: bool,
) -> None:
    """Verify the audit evidence, and show it.

    Reads the named files, or stdin for `-`: audit files, or logs that contain the records. Without
    a name it reads `audit.file` of the configuration. It takes the records of the configuration's
    instance, and verifies their whole chain, whatever it shows of it: its end against the swarm,
    and its signatures by Vault. Exits with 3 where a record was changed or is missing, and prints
    the first wrong line first.
    """
    from bridge.evidence.chain import verify
    from bridge.evidence.reading import Wanted

    found = _configuration(options, needed=not files)
    lines = _of_one(list(_lines(files or _default(found))), found)
    with _asking(found, public_key, offline=offline) as asked:
        verdict = verify(lines, asked.head, partial=partial, check=asked.check)
    words = [*asked.words, *_signed(verdict, asked.verifier)]
    wanted = Wanted(secret, service, since, until)
    shown = [record for record in verdict.records if wanted.takes(record)]
    _show(
        _Shown(verdict, shown, words),
        _limits(found, wanted, shown),
        options=options,
        as_csv=as_csv,
        as_page=as_page,
    )
    sys.exit(Exit.HELD if verdict.faults else Exit.DONE)


@dataclass(frozen=True, slots=True)
class _Shown:
    verdict: Verdict
    records: list[Record]
    words: list[str]


def _show(
    shown: _Shown,
    limits: Mapping[str, float | None],
    *,
    options: Options,
    as_csv: bool,
    as_page: bool,
) -> None:
    from bridge.evidence.audit_page import SHORT, csv_of, page_of, row_of

    verdict = shown.verdict
    if as_page:
        now = time.time()
        click.echo(page_of(verdict, shown.records, limits, made=now, checked=shown.words), nl=False)
        return
    if options.as_json:
        faults = [{"place": fault.place, "message": fault.message} for fault in verdict.faults]
        notes = [*shown.words, *verdict.notes]
        found = {"whole": not faults, "faults": faults, "notes": notes, "signed": verdict.signed}
        print_json(found | {"records": [dict(record) for record in shown.records]})
        return
    if as_csv:
        click.echo(csv_of(shown.records), nl=False)
    else:
        from rich.table import Table

        from bridge.report.rows import print_table

        table = Table(*SHORT, box=None, pad_edge=False)
        for record in shown.records:
            table.add_row(*row_of(record, SHORT))
        print_table(table, console())
    for words in (*shown.words, *verdict.notes):
        click.echo(f"Note: {words}", err=True)
    for fault in verdict.faults:
        click.echo(f"Not whole: {fault}", err=True)
    if not verdict.faults:
        click.echo(f"Whole: {len(verdict.records)} records.", err=True)


# --- what is read ---------------------------------------------------------------------------------


def _configuration(options: Options, *, needed: bool) -> Configuration | None:
    """Return the configuration; None where there is none, and files were named."""
    try:
        return options.load()
    except ConfigError:
        if needed:
            raise
        return None


def _default(found: Configuration | None) -> tuple[str, ...]:
    audit = found.settings.audit if found else None
    if audit is None or not audit.file:
        raise NoEvidence("no file is named, and the configuration has no `audit.file`")
    return (audit.file,)


def _lines(files: tuple[str, ...]) -> Iterator[Line]:
    from bridge.evidence.reading import lines_of

    for name in files:
        if name == "-":
            yield from lines_of("stdin", sys.stdin)
            continue
        try:
            with Path(name).open(encoding="utf-8", errors="replace") as stream:
                yield from lines_of(name, stream)
        except OSError as error:
            raise NoEvidence(f"{name} cannot be read ({error.strerror})") from None


def _of_one(lines: list[Line], found: Configuration | None) -> list[Line]:
    """Return the lines of one instance: that of the configuration, or the only one."""
    from bridge.evidence.reading import instances_of, of_instance

    there = instances_of(lines)
    if found is not None:
        return of_instance(lines, found.desired.instance)
    if len(there) > 1:
        raise NoEvidence(
            f"these are records of several instances ({', '.join(there)})",
            hint="name the configuration of the one that is meant: `-c FILE`",
        )
    return lines


def _limits(
    found: Configuration | None, wanted: Wanted, shown: Sequence[Record]
) -> Mapping[str, float | None]:
    """Return ``max_age`` of each secret that was asked for; of a service's, those with records."""
    limits = {secret.name: secret.max_age for secret in found.desired.secrets} if found else {}
    if wanted.service:
        there = {str(record.get("secret")) for record in shown}
        return {name: limit for name, limit in limits.items() if name in there}
    return {n: limit for n, limit in limits.items() if wanted.secret in ("", n)}


# --- what is asked --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the swarm and Vault are asked.

    Attributes:
        head: The head that the swarm keeps; None where it is not known.
        check: Verifies a signature; None where none can be.
        words: What of the chain's end is verified and what is not.
        verifier: Whose answer tells that a signature is valid; empty where none is verified.
    """

    head: AuditHead | None
    check: Check | None
    words: list[str]
    verifier: str = ""


@contextmanager
def _asking(
    found: Configuration | None, public_key: str | None, *, offline: bool
) -> Iterator[_Asked]:
    words: list[str] = []
    head = None
    if found is None or offline:
        words.append("the end of the chain was not compared with the swarm")
    else:
        head, said = _head(found)
        words.append(said)
    if public_key:
        check = _by_key(public_key)
        yield _Asked(head, check, words, f"the public key in {public_key}")
        return
    if found is None or offline or found.settings.audit is None or not found.settings.audit.transit:
        yield _Asked(head, None, words)
        return
    with _by_vault(found) as check:
        yield _Asked(head, check, words, f"Vault at {found.settings.vault.address}")


def _signed(verdict: Verdict, verifier: str) -> list[str]:
    """Return in words how much of the chain is signed; nothing where no signature is verified."""
    if not verifier:
        return []
    if not verdict.signed:
        return [f"no record has a signature that is valid by {verifier}"]
    words = f"the records up to {verdict.signed} are signed, verified by {verifier}"
    more = bool(verdict.records) and verdict.records[-1]["seq"] > verdict.signed
    return [f"{words}; those after it are not signed yet" if more else words]


def _head(found: Configuration) -> tuple[AuditHead | None, str]:
    from bridge.errors import SwarmError
    from bridge.model.audit_head import AUDIT, AuditHead
    from bridge.model.names import state_config_name
    from bridge.servers.swarm import Swarm

    name = state_config_name(found.desired.instance)
    try:
        with closing(Swarm(found.settings.docker)) as swarm:
            config = swarm.config(name) or {}
    except SwarmError as error:
        return None, f"the end of the chain was not compared with the swarm: {error}"
    labels = (config.get("Spec") or {}).get("Labels") or {}
    head = AuditHead.read(labels[AUDIT]) if AUDIT in labels else None
    if head is None:
        return None, "the swarm keeps no head of the chain to compare its end with"
    return head, f"the end of the chain was compared with the swarm, which has record {head.seq}"


def _by_key(name: str) -> Check:
    from bridge.evidence.public_key import checks_with

    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise NoEvidence(f"{name} cannot be read ({error.strerror})") from None
    return checks_with(content, name)


@contextmanager
def _by_vault(found: Configuration) -> Iterator[Callable[[str, str], str]]:
    from bridge.servers.vault import Vault

    audit = found.settings.audit
    assert audit is not None  # noqa: S101 - or nothing is asked
    key = audit.transit
    assert key is not None  # noqa: S101
    with closing(Vault(found.settings.vault)) as vault:

        def check(text: str, signature: str) -> str:
            valid = vault.transit.is_valid(key, text, signature)
            return "" if valid else "Vault says that it is not one of its key"

        yield check
