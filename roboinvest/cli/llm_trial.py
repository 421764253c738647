"""`roboinvest llm test`: one small paid question to each configured model."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import print_json, print_table
from roboinvest.cli.settings import settings_of

if TYPE_CHECKING:
    from roboinvest.runtime.llm.trial import Trial


def trial(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Ask each configured model one small question, and say what is wrong and how to mend it.

    It is paid out of the same caps as everything else. Exit 1 when a model does not answer in form.
    """
    from roboinvest.app.language_models import try_models
    from roboinvest.runtime.configuration.policies import clock_of
    from roboinvest.runtime.configuration.secrets import load_secrets
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.in_flight import InFlight

    settings = settings_of(config, data_dir)
    folder = DataFolder(settings.data_dir)
    folder.create()
    secrets = load_secrets(os.environ, settings.llm.variables())
    trials = asyncio.run(
        try_models(settings, secrets, folder, clock=clock_of(settings), in_flight=InFlight())
    )
    if as_json:
        print_json({"models": [_plain(trial) for trial in trials]})
    else:
        rows = [
            (
                t.model,
                "ok" if t.is_good else "WRONG",
                f"{t.latency_ms:.0f}",
                f"{t.cost_usd:f}",
                t.text,
            )
            for t in trials
        ]
        columns = ("model", "state", "ms", "USD", "what")
        print_table("Models", columns, rows, empty="No model is configured.")
    if not all(trial.is_good for trial in trials):
        raise typer.Exit(ExitCode.FOUND)


def _plain(trial: Trial) -> dict[str, object]:
    return {
        "model": trial.model,
        "ok": trial.is_good,
        "text": trial.text,
        "latency_ms": round(trial.latency_ms, 1),
        "cost_usd": float(trial.cost_usd),
    }
