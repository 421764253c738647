"""The `roboinvest` command.

Imports here are light on purpose: `status` must answer in under a second, so the daemon, the
database and the vendors' clients are imported by the commands that need them.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from roboinvest.cli import (
    advice,
    agents,
    alerts,
    approvals,
    audit,
    data,
    explain,
    governance,
    halt,
    health,
    llm,
    locks,
    look,
    mandate,
    notify,
    prompts,
    report,
    run,
    setup,
    status,
)
from roboinvest.cli.backtest import app as backtest
from roboinvest.cli.options import ExitCode, exit_code_of
from roboinvest.core.errors import RoboInvestError

app = typer.Typer(
    name="roboinvest",
    help="A trading daemon that stays inside limits no model can widen.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(setup.init)
app.command()(setup.doctor)
app.command()(run.run)
app.command()(run.once)
app.command()(status.status)
app.add_typer(report.app, name="report")
app.command()(health.health)
app.command()(look.positions)
app.command()(look.orders)
app.command()(look.trades)
app.command()(explain.explain)
app.add_typer(data.app, name="data")
app.add_typer(backtest.app, name="backtest")
app.command()(halt.halt)
app.command()(halt.resume)
app.add_typer(mandate.app, name="mandate")
app.add_typer(locks.app, name="locks")
app.add_typer(advice.app, name="advice")
app.add_typer(llm.app, name="llm")
app.add_typer(prompts.app, name="prompts")
app.add_typer(agents.app, name="agents")
app.add_typer(approvals.app, name="approvals")
app.add_typer(audit.app, name="audit")
app.add_typer(alerts.app, name="alerts")
app.add_typer(governance.app, name="governance")
app.add_typer(notify.app, name="notify")
app.command()(setup.schema)


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """A trading daemon that stays inside limits no model can widen."""
    _Debug.wanted = debug


class _Debug:
    """Whether a person asked for tracebacks; set once, before any command runs."""

    wanted = False


def run_program(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; errors become one sentence on stderr."""
    try:
        app(args=arguments, standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except RoboInvestError as error:
        if _Debug.wanted:
            traceback.print_exc()
        sys.stderr.write(f"roboinvest: {error}\n")
        return exit_code_of(error)
    except BrokenPipeError:
        return ExitCode.DONE  # the reader has seen enough
    return ExitCode.DONE


def run_and_exit() -> None:
    """Be the console script."""
    sys.exit(run_program())
