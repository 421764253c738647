"""The audit log at the command line: who changed what, and whether the log is what was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roboinvest.cli.approval_words import print_lines
from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import print_json, print_table
from roboinvest.cli.settings import folder_of

if TYPE_CHECKING:
    from roboinvest.core.audit import AuditEntry, AuditRow

app = typer.Typer(help="Who changed what, in a log that cannot be rewritten.", no_args_is_help=True)


@app.command()
def ls(
    subject: Annotated[str | None, typer.Option("--about", help="One subject only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest rows.")] = 50,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest changes of state, oldest first."""
    from rich.markup import escape

    from roboinvest.core.records import to_plain
    from roboinvest.core.text.cleaning import clean
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.governance.file import GovernanceFile

    path = _path(config, data_dir)
    found: tuple[AuditRow, ...] = ()
    if path.exists():
        with GovernanceFile.open(path, SystemClock()) as file:
            found = file.rows(subject=subject, limit=limit)
    if as_json:
        print_json({"rows": to_plain(found)})
        return
    rows = [
        (
            row.number,
            f"{row.entry.at:%Y-%m-%d %H:%M:%S}",
            *(escape(clean(text, 120)) for text in _told(row.entry)),
        )
        for row in found
    ]
    columns = ("No", "at", "what", "about", "who", "why", "undo")
    print_table("Audit log", columns, rows, empty="Nothing was changed yet.")


@app.command()
def verify(
    anchors: Annotated[
        Path | None, typer.Option("--anchors", help="Default: audit_anchors.jsonl")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that no row was edited, removed, inserted or moved; ends with 1 if one was."""
    from roboinvest.core.records import to_plain
    from roboinvest.runtime.governance.verify import verify as verified

    found = verified(_path(config, data_dir), anchors)
    if as_json:
        print_json({"whole": found.is_whole, **to_plain(found)})
    elif found.is_whole:
        text = f"{found.rows} rows are what was written, by {found.anchors} anchors"
        print_lines([f"{text}; the last one has the digest {found.digest}"])
    else:
        print_lines([each.text for each in found.breaks])
    if not found.is_whole:
        raise typer.Exit(ExitCode.FOUND)


def _path(config: Path | None, data_dir: Path | None) -> Path:
    from roboinvest.runtime.governance.file import FILE_NAME

    return folder_of(config, data_dir).root / FILE_NAME


def _told(entry: AuditEntry) -> tuple[str, ...]:
    return (entry.kind, entry.subject, entry.who, entry.why, entry.undo or "")
