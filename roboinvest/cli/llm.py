"""`llm spend` and `llm test`: what language models cost, and whether they answer."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli import llm_contamination, llm_trial
from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import settings_of
from roboinvest.core.errors import BadInput

if TYPE_CHECKING:
    from roboinvest.runtime.llm.spend.reads import SpendReport
    from roboinvest.runtime.llm.spend.values import DayCapMove, SpendLine, Standing

app = typer.Typer(help="Language models: spend, test, contamination.", no_args_is_help=True)
app.command("test")(llm_trial.trial)
app.command()(llm_contamination.contamination)


class By(StrEnum):
    """What a line is about."""

    AGENT = "agent"
    TASK = "task"
    MODEL = "model"
    DAY = "day"


@app.command()
def spend(
    by: Annotated[By, typer.Option("--by", help="One line for each.")] = By.DAY,
    since: Annotated[
        str | None, typer.Option("--since", help="First exchange day: 2026-01-02.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what language models cost, and what today's caps leave; with a daemon or without."""
    from roboinvest.core.errors import TryLater
    from roboinvest.runtime.configuration.policies import clock_of
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.llm.spend import reads
    from roboinvest.runtime.llm.spend.days import exchange_day

    settings = settings_of(config, data_dir)
    folder = DataFolder(settings.data_dir)
    today = exchange_day(clock_of(settings).now())
    found = reads.report(folder.llm, by.value, _day(since), today)
    if found is None:
        raise TryLater(
            f"{folder.llm} does not exist yet: no language model was asked; it is made by "
            "`roboinvest run` when llm.provider names one"
        )
    if as_json:
        print_json(_plain(found))
        return
    _show_lines(by, found.lines)
    _show_caps(found.standing)


def _show_lines(by: By, lines: tuple[SpendLine, ...]) -> None:
    rows: list[tuple[object, ...]] = [_cells(line.name, [line]) for line in lines]
    if len(lines) > 1:
        rows.append(_cells("all", lines))
    counts = ("Calls", "Input", "Cached", "Output")
    money = ("USD", "Counted", "Estimated", "Cut off", "Reserved")
    print_table(
        f"Spent by {by.value}",
        (by.value, *counts, *money, "Not billed"),
        rows,
        empty="No call was made.",
    )


def _cells(name: str, lines: tuple[SpendLine, ...] | list[SpendLine]) -> tuple[object, ...]:
    """Return one row: tokens, then USD as counted, estimated, cut off and reserved now."""
    tokens = ("calls", "input_tokens", "cached_tokens", "output_tokens")
    money = ("cost_usd", "settled_usd", "estimated_usd", "cut_usd", "reserved_usd")
    return (
        name,
        *(sum(getattr(line, field) for line in lines) for field in tokens),
        *(f"{sum(getattr(line, field) for line in lines):.4f}" for field in money),
        sum(line.released for line in lines),
    )


def _show_caps(standing: Standing | None) -> None:
    out = console()
    if standing is None:
        out.print("No daemon has set its caps yet.")
        return
    out.print(f"Caps on {standing.day}, New York's date:", markup=False)
    for cap in standing.caps:
        out.print(f"  {cap.text}", markup=False)
    out.print("The day's cap was moved last:", markup=False)
    for move in standing.moves:
        out.print(f"  {_move_text(move)}", markup=False)


def _move_text(move: DayCapMove) -> str:
    before = "" if move.before_usd is None else f"from {move.before_usd:.2f} "
    return f"{move.at:%Y-%m-%d %H:%M} {before}to {move.after_usd:.2f} USD: {move.reason}"


def _plain(found: SpendReport) -> dict[str, Any]:
    from roboinvest.core.records import to_plain

    caps: dict[str, Any] | None = None
    if found.standing is not None:
        caps = to_plain(asdict(found.standing))
        for plain, cap in zip(caps["caps"], found.standing.caps, strict=True):
            plain["left_usd"] = to_plain(cap.left_usd)
    return {"lines": to_plain(found.lines), "standing": caps}


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"--since {text} is no day; write it as 2026-01-02") from error
