"""The command that tries out who is told: ``notify --test``."""

from __future__ import annotations

import sys

import click

from bridge.cli.shared import Options, command, console, print_json


@command
@click.option("--test", is_flag=True, help="Send one message to each receiver of `notify`.")
@click.pass_obj
def notify(options: Options, *, test: bool) -> None:
    """Send a test message to each receiver, and report whether it was accepted.

    It tries each receiver once, and exits with 4 where one did not accept the message.
    """
    from bridge.errors import NotDelivered
    from bridge.model.findings import Finding, Level
    from bridge.report.finding_report import print_findings
    from bridge.report.message_texts import trial
    from bridge.servers.receiver import send

    configuration = options.load()
    if not test:
        raise click.UsageError("`--test` is needed: the bridge that runs sends all else")
    receivers = configuration.settings.notify
    if not receivers:
        raise click.UsageError("the configuration has no `notify`")
    message, findings = trial(configuration.desired.instance), list[Finding]()
    for place, receiver in enumerate(receivers):
        finding = Finding(Level.OK, f"notify[{place}]", f"{receiver.url_file}: accepted")
        try:
            send(receiver, message)
        except NotDelivered as error:
            finding = Finding(Level.ERROR, f"notify[{place}]", str(error), error.exit_code)
        findings.append(finding)
    if options.as_json:
        print_json({"findings": [finding.json() for finding in findings]})
    else:
        print_findings(findings, console())
    sys.exit(max(finding.code for finding in findings))
