"""The commands that act: ``run`` for ever, ``sync`` until nothing is left to do."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge import __version__, logs
from bridge.cli.option_values import seconds
from bridge.cli.shared import Options, command, console, open_loop, print_json
from bridge.errors import ConfigError, Exit
from bridge.model.events import Event

if TYPE_CHECKING:
    from bridge.loop import Loop
    from bridge.model.plan_file import PlanFile
    from bridge.reconcile import Step


@command
@click.pass_obj
def run(options: Options) -> None:
    """Run as a service until stopped.

    SIGTERM and SIGINT end it within seconds, and it hands over to another bridge: it abandons reads
    and waits, and completes a write in flight. SIGHUP makes it read the configuration again.
    """
    from bridge.beside import tell
    from bridge.health_socket import answering
    from bridge.model.vitals import judge
    from bridge.processes import refuse_new_privileges
    from bridge.publish import Publishing
    from bridge.publish.outlets import outlets
    from bridge.pulse import Pulse
    from bridge.servers.vault import Vault

    # A stop is no failure, also before the loop heeds it and while the configuration is read again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.DONE))
    refuse_new_privileges()
    log = logs.logger()
    configuration = options.load()
    log.info(
        Event.STARTED,
        program_version=__version__,
        secrets=len(configuration.desired.secrets),
    )
    vault = Vault(configuration.settings.vault)
    pulse = Pulse()
    publishing = Publishing(outlets(pulse, log), log)
    hangups = _Hangups()
    while True:
        publishing.configure(configuration)
        with (
            open_loop(configuration, vault, pulse, publishing.publish) as loop,
            answering(
                configuration.desired.instance,
                lambda: judge(*pulse.look()),
                partial(tell, loop, configuration.settings.vault),
            ),
        ):
            hangups.end(loop)
            loop.run()
        if loop.ended or not hangups.came:
            break
        hangups.came = False
        try:
            former, configuration = configuration, options.load()
            pulse.refused = ()
            log.info(Event.CONFIGURATION_RELOADED)
            if configuration.settings.vault != former.settings.vault:
                vault.close()
                vault = Vault(configuration.settings.vault)
        except ConfigError as error:
            pulse.refused = tuple(map(str, error.problems))
            for problem in error.problems:
                log.warning(Event.CONFIGURATION_REJECTED, message=str(problem))
    publishing.close()
    vault.close()
    log.info(Event.STOPPED)


class _Hangups:
    """SIGHUPs, each of which ends a loop so that another follows with the configuration read again.

    One that comes between two loops ends the next one at once: the file may have changed since.

    Attributes:
        came: Whether one came since this was last unset.
    """

    def __init__(self) -> None:
        self.came = False
        self._interrupt: Callable[[], object] = lambda: None
        signal.signal(signal.SIGHUP, self._on_hangup)

    def _on_hangup(self, *_: object) -> None:
        self.came = True
        self._interrupt()

    def end(self, loop: Loop) -> None:
        """Let the next one end this loop, and one that has come already."""
        self._interrupt = loop.interrupt
        if self.came:
            loop.interrupt()


@command
@click.option(
    "--timeout",
    metavar="DURATION",
    callback=seconds,
    help="Time after which it gives up; without this option it never does.",
)
@click.option(
    "--apply-fields",
    is_flag=True,
    help="Roll services whose target, uid, gid or mode changed in the configuration at once;"
    " the bridge that leads does it.",
)
@click.option(
    "--plan",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Carry out the plan that `plan --out FILE` wrote, and nothing else; refuse it where"
    " something else is due by now.",
)
@click.pass_obj
def sync(options: Options, *, timeout: float | None, apply_fields: bool, file: Path | None) -> None:
    """Run cycles until nothing is left to do, show each step, then exit."""
    from bridge.report.exits import exit_code
    from bridge.report.status import print_status, status_json

    if file and apply_fields:
        raise click.UsageError("--plan and --apply-fields exclude each other")
    reviewed = _reviewed(file) if file else None

    options.log(quiet=True)
    progress = None if options.as_json else _progress()
    with open_loop(options.load()) as loop:
        plan, finished = loop.sync(timeout, progress, apply_fields=apply_fields, reviewed=reviewed)
    if options.as_json:
        print_json(status_json(plan.conditions) | {"finished": finished})
    else:
        print_status(plan.conditions, console(), time.time())
        if not finished:
            click.echo("Not finished: something is still on its way.", err=True)
    sys.exit(exit_code(plan) if finished else max(exit_code(plan), Exit.HELD))


def _reviewed(file: Path) -> PlanFile:
    """Read a plan. Raises ``click.UsageError`` where it is none."""
    from bridge.model.plan_file import PlanFile

    try:
        return PlanFile.read(file.read_text())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise click.UsageError(f"{file}: {why}") from None


def _progress() -> Callable[[Step], None]:
    """Print what each cycle did and, once per change, what it waits for."""
    from bridge.model.reasons import State

    last: dict[str, str] = {}
    leader = ""
    out = console()

    def show(step: Step) -> None:
        nonlocal leader
        if step.leader != leader:
            leader = step.leader
            who = f"the bridge on {leader} leads, and is followed" if leader else "this one leads"
            out.print(f"Leader: {who}")
        for condition in step.plan.conditions:
            for service in condition.services:
                place = f"{condition.name} on {service.name}"
                line = f"{place}: {service.reason}"
                line += f" ({service.message})" if service.message else ""
                news = last.get(place) != line and (place in last or service.state != State.SYNCED)
                last[place] = line
                if news:
                    out.print(line)
        for outcome in step.outcomes:
            out.print(f"{outcome.action.summary}: {outcome.message or outcome.result}")

    return show
