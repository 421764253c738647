"""`data fetch`: bars, splits and dividends from the data vendor into the store.

It says what it will cost before it asks for anything. Every answer is on disk before the next
question, so that it may be stopped in any way, and typed again to go on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import settings_of
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.market.values import Timeframe
from roboinvest.core.records import to_plain

if TYPE_CHECKING:
    from pathlib import Path

    from roboinvest.runtime.configuration.settings import Settings
    from tools.data_fetcher.bar_cache import FetchTally
    from tools.data_fetcher.plan import FetchPlan

SHOWN = 20  # sessions that are not whole, for a person; --json has them all

SymbolsOption = Annotated[str, typer.Option("--symbols", help="Tickers, with commas: SPY,AAPL.")]
FromOption = Annotated[str, typer.Option("--from", help="First exchange day: 2024-01-02.")]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Last exchange day, included. Default: today.")
]
TimeframeOption = Annotated[
    str, typer.Option("--timeframe", help=f"Length of a bar: {', '.join(Timeframe)}.")
]
NoActionsOption = Annotated[
    bool, typer.Option("--no-actions", help="Leave out splits and dividends (2 calls a symbol).")
]
PlanOption = Annotated[
    bool, typer.Option("--plan", help="Say what it would cost, and ask for nothing.")
]


def fetch(
    symbols: SymbolsOption,
    first: FromOption,
    last: ToOption = None,
    timeframe: TimeframeOption = Timeframe.MINUTE.value,
    no_actions: NoActionsOption = False,
    only_plan: PlanOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch bars from Polygon into the store; what is there whole is not asked for again."""
    import asyncio

    settings = settings_of(config, data_dir, {"market.symbols": symbols})
    job = _Job(
        settings,
        length=_timeframe(timeframe),
        first=_day(first, "--from"),
        last=None if last is None else _day(last, "--to"),
        with_actions=not no_actions,
        as_json=as_json,
    )
    try:
        plan, tally = asyncio.run(job.run(only_plan=only_plan))
    except KeyboardInterrupt:
        sys.stderr.write("roboinvest: stopped; what was fetched is kept, type it again to go on\n")
        raise typer.Exit(ExitCode.FORCED) from None
    _report(plan, tally, as_json=as_json)


class _Job:
    """One fetch, from the plan to the last answer."""

    def __init__(
        self,
        settings: Settings,
        *,
        length: Timeframe,
        first: date,
        last: date | None,
        with_actions: bool,
        as_json: bool,
    ) -> None:
        if not settings.market.symbols:
            raise BadInput("--symbols is empty; name at least one ticker, such as SPY")
        if last is not None and first > last:
            raise BadInput(f"--from {first} is after --to {last}; swap them")
        self._settings = settings
        self._length = length
        self._first = first
        self._last = last
        self._with_actions = with_actions
        self._as_json = as_json

    async def run(self, *, only_plan: bool) -> tuple[FetchPlan, FetchTally | None]:
        """Say what it costs, then fetch."""
        from roboinvest.runtime.clock import SystemClock
        from roboinvest.runtime.configuration.secrets import load_secrets
        from roboinvest.runtime.folder import DataFolder
        from roboinvest.runtime.in_flight import InFlight
        from tools.calendar import ExchangeCalendar
        from tools.data_fetcher.desk import open_desk
        from tools.data_fetcher.polygon.fetcher import Patience

        settings, clock = self._settings, SystemClock()
        folder = DataFolder(settings.data_dir)
        desk = open_desk(
            settings,
            load_secrets(os.environ),
            bars=folder.bars,
            calendar=ExchangeCalendar(),
            clock=clock,
            in_flight=InFlight(),
            patience=Patience(research_s=600.0),
        )
        try:
            plan = await desk.cache.plan(
                settings.market.symbols,
                self._length,
                self._first,
                self._last or clock.now().date(),
                with_actions=self._with_actions,
            )
            self._announce(plan, desk.url, folder.bars)
            if only_plan:
                return plan, None
            folder.create()
            with _progress(plan, shown=not self._as_json) as done:
                return plan, await desk.cache.fetch(plan, done)
        except TryLater as error:
            kept = "what was fetched is kept, type it again to go on"
            raise TryLater(f"{error} ({kept})") from error
        finally:
            desk.close()

    def _announce(self, plan: FetchPlan, url: str, bars: Path) -> None:
        """Say, before anything is asked, what will be and how long that takes."""
        pace = self._settings.polygon.calls_per_minute
        out = console(stderr=True)
        lines = (
            f"{', '.join(plan.symbols)}: bars of {plan.timeframe} from {plan.first} to "
            f"{plan.last}, {plan.sessions} sessions each",
            f"  store    {bars}: {plan.whole} of {plan.sessions * len(plan.symbols)} sessions are "
            "whole already",
            f"  cost     {plan.calls} calls to {url}, about {plan.minutes(pace)} min "
            f"at {pace} calls a minute",
        )
        for line in lines:
            out.print(line, markup=False)


@contextmanager
def _progress(plan: FetchPlan, *, shown: bool) -> Iterator[Callable[[FetchTally], None]]:
    """Draw a bar on a terminal; elsewhere, nothing."""
    out = console(stderr=True)
    if not shown or not out.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    total = len(plan.pieces) + len(plan.actions_of)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=out) as progress:
        task = progress.add_task("fetching", total=total)

        def done(tally: FetchTally) -> None:
            progress.update(task, advance=1, description=f"{tally.rows:,} rows")

        yield done


def _report(plan: FetchPlan, tally: FetchTally | None, *, as_json: bool) -> None:
    from tools.data_fetcher.completeness import Lack

    wrong = [each for each in tally.short if each.lack is not Lack.UNSETTLED] if tally else []
    if as_json:
        planned = {**_plain(plan), "calls": plan.calls}
        print_json({"plan": planned, "fetched": None if tally is None else _plain(tally)})
    elif tally is not None:
        _show(tally, [f"{each.symbol} {each.day}: {each.detail}" for each in wrong])
    if wrong:
        raise typer.Exit(ExitCode.FOUND)


def _show(tally: FetchTally, wrong: Sequence[str]) -> None:
    out = console()
    out.print(
        f"Fetched {tally.rows} rows with {tally.calls} calls: {tally.added} new, {tally.replaced} "
        f"changed, {tally.quarantined} set aside; {tally.actions} splits and dividends",
        markup=False,
    )
    unsettled = len(tally.short) - len(wrong)
    if unsettled:
        out.print(f"{unsettled} sessions are not over for long; ask for them again tomorrow")
    for action in tally.left_out:
        text = f"{action.symbol} {action.ex_date}: no close to hold a dividend of {action.cash} to"
        out.print(f"  {text}; fetch the session before it", markup=False)
    for line in wrong[:SHOWN]:
        out.print(f"  {line}; it will be asked for again", markup=False)
    if len(wrong) > SHOWN:
        out.print(f"... and {len(wrong) - SHOWN} more; --json has them all")


def _plain(value: FetchPlan | FetchTally) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(value)
    return plain


def _timeframe(text: str) -> Timeframe:
    try:
        return Timeframe(text)
    except ValueError:
        raise BadInput(f"--timeframe {text} is none of {', '.join(Timeframe)}") from None


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{option} {text} is no date; write it as 2024-01-02") from None
