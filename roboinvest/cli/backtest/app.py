"""The `roboinvest backtest` commands in one place."""

from __future__ import annotations

import typer

from roboinvest.cli.backtest import book, gallery, run, search

app = typer.Typer(help="Backtests: run, check, search, compare.", no_args_is_help=True)
app.command("run")(run.run)
app.command("strategies")(gallery.strategies)
app.command("ls")(book.ls)
app.command("show")(book.show)
app.command("compare")(book.compare)
app.command("sweep")(search.sweep)
app.command("leak-check")(run.leak_check)
app.command("report-all")(gallery.report_all)
app.add_typer(book.holdout, name="holdout")
