"""The command line: reads arguments, calls the loop, prints, and ends with a documented code."""

from __future__ import annotations

import sys
from typing import NoReturn

import click
import structlog

from bridge import __version__, logs
from bridge.cli import act, ask, look
from bridge.cli.shared import Options
from bridge.errors import BridgeError, ConfigError, Exit

DEFAULT_CONFIG = "/etc/vault-bridge/bridge.yaml"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vault-bridge")
@click.option(
    "-c",
    "--config",
    envvar="BRIDGE_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The configuration file; $BRIDGE_CONFIG names it too.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_context
def cli(context: click.Context, config: str, *, verbose: bool) -> None:
    """Rotate Docker Swarm secrets from HashiCorp Vault, with no downtime."""
    logs.configure(verbose=verbose)
    context.obj = Options(config, verbose)


for _command in (
    act.run,
    act.sync,
    look.plan,
    look.status,
    ask.rollback,
    ask.pause,
    ask.resume,
    ask.retry,
    ask.rotate,
    ask.approve,
    ask.forget,
    look.check,
    look.policy,
    look.render,
):
    cli.add_command(_command)


def main() -> NoReturn:
    """Run the command line, and turn every error into a message and a code."""
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
        structlog.get_logger("bridge").error("unexpected error", error=logs.where(error))
        sys.exit(Exit.UNEXPECTED)
    sys.exit(Exit.DONE)
