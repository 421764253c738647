"""`init`, `doctor` and `schema`: prepare a place, examine it, tell a frontend what to expect."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import DEFAULT_CONFIG, folder_of, settings_of
from roboinvest.core.errors import BadInput, BadSettings

if TYPE_CHECKING:
    from roboinvest.runtime.configuration.settings import Settings
    from roboinvest.runtime.folder import DataFolder
    from tools.doctor import Finding
    from tools.live_doctor.findings import Cost, LiveFinding

WORDS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def init(
    config: Annotated[
        Path, typer.Option("--config", help="Where to write the settings file.")
    ] = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a settings file.")] = False,
) -> None:
    """Write a commented settings file and make the data folder. Running needs neither."""
    if config.exists() and not force:
        raise BadInput(f"{config} exists; edit it, or replace it with --force")
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(default_settings_text())
    except OSError as error:
        raise BadSettings(f"{config} cannot be written ({error.strerror})") from error
    folder = folder_of(config, data_dir)
    folder.create()
    console().print(f"wrote {config}; the data folder is {folder.root}", markup=False)
    console().print("next: roboinvest doctor, then roboinvest run", markup=False)


def doctor(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the configured vendors too; nothing is changed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Examine the installation and the data folder; exit 1 when something must be mended."""
    from roboinvest.runtime.configuration.policies import clock_of
    from roboinvest.runtime.configuration.secrets import load_secrets
    from tools.calendar import ExchangeCalendar
    from tools.doctor import Doctor, Grade

    settings = settings_of(config, data_dir)
    folder = folder_of(config, data_dir)
    findings = Doctor(
        settings,
        folder,
        ExchangeCalendar(),
        clock_of(settings).now(),
        load_secrets(os.environ, settings.llm.variables()),
    ).examine()
    costs, asked = _ask_vendors(settings, folder) if live else ((), ())
    failed = [each for each in (*findings, *asked) if each.grade is Grade.FAIL]
    if as_json:
        lines = [
            {"name": f.name, "grade": f.grade.value, "fact": f.fact, "mend": f.mend}
            for f in (*findings, *asked)
        ]
        calls = {"calls": {cost.vendor: cost.calls for cost in costs}} if live else {}
        print_json({"ok": not failed, "checks": lines, **calls})
    else:
        _show(findings, asked)
    if failed:
        away = all(each in asked and getattr(each, "is_away", False) for each in failed)
        raise typer.Exit(ExitCode.AWAY if away else ExitCode.FOUND)


def _ask_vendors(
    settings: Settings, folder: DataFolder
) -> tuple[Sequence[Cost], Sequence[LiveFinding]]:
    """Say what it costs, and ask the configured vendors how we stand with them."""
    import asyncio
    import random

    from roboinvest.runtime.configuration.policies import clock_of
    from roboinvest.runtime.configuration.secrets import load_secrets
    from roboinvest.runtime.in_flight import InFlight
    from tools.calendar import ExchangeCalendar
    from tools.live_doctor.around import Around
    from tools.live_doctor.doctor import LiveDoctor

    around = Around(
        settings=settings,
        secrets=load_secrets(os.environ),
        clock=clock_of(settings),
        calendar=ExchangeCalendar(),
        rng=random.Random(0),  # noqa: S311 it spreads waits
        in_flight=InFlight(),
        daemon_pid=folder.holder(),
    )
    vendors = LiveDoctor(around)
    costs = vendors.costs()
    for cost in costs:
        text = f"asking {cost.vendor} at {cost.where}: {cost.calls} calls"
        console(stderr=True).print(f"{text} of {cost.per_minute} a minute", markup=False)
    try:
        return costs, asyncio.run(vendors.examine())
    except KeyboardInterrupt:
        sys.stderr.write("roboinvest: stopped; nothing was changed at any vendor\n")
        raise typer.Exit(ExitCode.FORCED) from None


def _show(findings: Sequence[Finding], asked: Sequence[Finding]) -> None:
    """Write what was found here, and of each vendor's checks one sentence."""
    out = console()
    for finding in findings:
        out.print(f"{WORDS[finding.grade.value]}  {finding.name}: {finding.fact}", markup=False)
        if finding.mend:
            out.print(f"      {finding.mend}", markup=False)
    for finding in asked:
        parts = filter(None, (finding.fact, finding.mend))
        out.print(f"{WORDS[finding.grade.value]}  {finding.name}: {'; '.join(parts)}", markup=False)


def schema(
    name: Annotated[
        str | None, typer.Argument(help="One report, such as positions; all by default.")
    ] = None,
) -> None:
    """Print the JSON Schemas of the report files."""
    from meta_agents.report_schemas import json_schemas

    schemas = json_schemas()
    if name is None:
        print_json(schemas)
        return
    if name not in schemas:
        raise BadInput(f"no report is called {name}; there are {', '.join(schemas)}")
    print_json(schemas[name])


def default_settings_text() -> str:
    """Return the commented settings file: of the wheel, or of the source tree."""
    packaged = resources.files("roboinvest") / "config" / "roboinvest.toml"
    if packaged.is_file():
        return packaged.read_text()
    return (Path(__file__).resolve().parents[2] / "config" / "roboinvest.toml").read_text()
