"""The command line: reads arguments, calls the loop, prints, and ends with a documented code.

A command imports what it needs when it is called: `--help` needs no SDK, and a script that asks
for the status each minute pays for that, not for all that the bridge is made of.
"""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

import click

from bridge import __version__, logs
from bridge.cli import act, ask, begin, look, prove, show_status, tell
from bridge.cli.shared import COMMON
from bridge.errors import BridgeError, ConfigError, Exit
from bridge.model.events import Event


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, params=[*COMMON])
@click.version_option(__version__, prog_name="vault-bridge")
def cli() -> None:
    """Rotate Docker Swarm secrets from HashiCorp Vault, with no downtime.

    The options below may stand behind the command's name as well.
    """


for _command in (
    begin.init,
    act.run,
    act.sync,
    look.plan,
    show_status.status,
    ask.rollback,
    ask.pause,
    ask.resume,
    ask.retry,
    ask.rotate,
    ask.resync,
    ask.approve,
    ask.forget,
    look.check,
    look.health,
    look.policy,
    tell.notify,
    look.render,
    prove.evidence,
):
    cli.add_command(_command)


def main() -> NoReturn:
    """Run the command line, and turn every error into a message and a code."""
    # As the first process of a container it would not be ended by a SIGTERM otherwise.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cli(standalone_mode=False)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(error.exit_code)
    except BridgeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except click.Abort:
        sys.exit(Exit.UNEXPECTED)
    except Exception as error:  # noqa: BLE001 - the last resort
        logs.logger().error(Event.UNEXPECTED_ERROR, error=logs.where(error))
        sys.exit(Exit.UNEXPECTED)
    finally:
        logs.let_go()
    sys.exit(Exit.DONE)
