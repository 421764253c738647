"""`init`, `doctor` and `schema`: prepare a place, examine it, tell a frontend what to expect."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import DEFAULT_CONFIG, folder_of, settings_of
from roboinvest.core.errors import BadInput, BadSettings

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
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Examine the installation and the data folder; exit 1 when something must be mended."""
    from roboinvest.runtime.clock import SystemClock
    from tools.calendar import ExchangeCalendar
    from tools.doctor import Doctor, Grade

    settings = settings_of(config, data_dir)
    folder = folder_of(config, data_dir)
    findings = Doctor(settings, folder, ExchangeCalendar(), SystemClock().now()).examine()
    failed = [finding for finding in findings if finding.grade is Grade.FAIL]
    if as_json:
        lines = [
            {"name": f.name, "grade": f.grade.value, "fact": f.fact, "mend": f.mend}
            for f in findings
        ]
        print_json({"ok": not failed, "checks": lines})
    else:
        for finding in findings:
            line = f"{WORDS[finding.grade.value]}  {finding.name}: {finding.fact}"
            console().print(line, markup=False)
            if finding.mend:
                console().print(f"      {finding.mend}", markup=False)
    if failed:
        raise typer.Exit(ExitCode.FOUND)


def schema(
    name: Annotated[
        str | None, typer.Argument(help="One report, such as positions; all by default.")
    ] = None,
) -> None:
    """Print the JSON Schemas of the report files."""
    from roboinvest.runtime.reports.models import json_schemas

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
