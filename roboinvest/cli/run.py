"""`run` and `once`: start the daemon, or live through one tick."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import settings_of
from roboinvest.core.errors import BadInput
from roboinvest.core.text.counting import counted

if TYPE_CHECKING:
    from roboinvest.app.options import Outcome
    from roboinvest.runtime.configuration.settings import Settings
    from roboinvest.runtime.folder import DataFolder
    from tools.markets import Market

ReplayOption = Annotated[
    Path | None, typer.Option("--replay", help="Trade recorded bars: a parquet or CSV file.")
]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="Which source, where a file holds several.")
]
SymbolsOption = Annotated[
    str | None, typer.Option("--symbols", help="Tickers, with commas: SPY,AAPL.")
]
FromOption = Annotated[str | None, typer.Option("--from", help="First exchange day: 2011-01-03.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last exchange day, included.")]
SpeedOption = Annotated[
    str | None, typer.Option("--speed", help="Market minutes per real minute, or max.")
]
ActionsOption = Annotated[
    Path | None, typer.Option("--actions", help="Splits and dividends (adjustment factors, CSV).")
]
NewsOption = Annotated[
    Path | None, typer.Option("--news", help="Timestamped headlines: parquet, CSV or JSONL.")
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Which simulated market; the same seed is the same.")
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Set the data folder's old content aside first.")
]


MarketOption = Annotated[str | None, typer.Option("--market", help="simulated, replay or polygon.")]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        help="Who decides: a strategy of the library, a Python file, box:FILE or agent:ID.",
    ),
]
ParamOption = Annotated[
    list[str] | None, typer.Option("--param", help="Its parameter, as fast=10; may be repeated.")
]
BrokerOption = Annotated[str | None, typer.Option("--broker", help="paper or alpaca.")]


def run(
    replay: ReplayOption = None,
    source: SourceOption = None,
    symbols: SymbolsOption = None,
    first: FromOption = None,
    last: ToOption = None,
    speed: SpeedOption = None,
    actions: ActionsOption = None,
    news: NewsOption = None,
    seed: SeedOption = None,
    market: MarketOption = None,
    broker: BrokerOption = None,
    strategy: StrategyOption = None,
    param: ParamOption = None,
    fresh: FreshOption = False,
    exit_when_done: Annotated[
        bool, typer.Option("--exit-when-done", help="End when the replay has ended.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the daemon: on a simulated market, a replay of recorded bars, or the real market."""
    _leave_quietly_until_the_daemon_stands()
    typed = _overrides(replay, source, symbols, first, last, speed, actions, news, seed)
    if market is not None:
        typed["market.source"] = market
    typed |= {"strategy.name": strategy, "strategy.params": param or None}
    settings = settings_of(config, data_dir, {**typed, "broker.kind": broker})
    from roboinvest.app.options import RunOptions
    from roboinvest.app.start import start

    options = RunOptions(fresh=fresh, exit_when_done=exit_when_done)
    outcome = start(settings, options, announce=_banner(settings, to_stderr=as_json))
    _report_end(outcome, as_json=as_json)


def once(
    replay: ReplayOption = None,
    source: SourceOption = None,
    symbols: SymbolsOption = None,
    first: FromOption = None,
    last: ToOption = None,
    actions: ActionsOption = None,
    news: NewsOption = None,
    seed: SeedOption = None,
    strategy: StrategyOption = None,
    param: ParamOption = None,
    fresh: FreshOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Live through the next tick, say what was decided and why, and stop."""
    _leave_quietly_until_the_daemon_stands()
    typed = _overrides(replay, source, symbols, first, last, "max", actions, news, seed)
    typed |= {"strategy.name": strategy, "strategy.params": param or None}
    settings = settings_of(config, data_dir, {**typed, "memory.chroma": "off"})
    from roboinvest.app.options import RunOptions
    from roboinvest.app.start import start

    options = RunOptions(fresh=fresh, exit_when_done=True, max_ticks=1)
    outcome = start(settings, options, announce=lambda *_: None)
    tick = outcome.last_tick or {}
    if as_json:
        print_json(tick)
    else:
        _show_decisions(tick)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)


def _overrides(
    replay: Path | None,
    source: str | None,
    symbols: str | None,
    first: str | None,
    last: str | None,
    speed: str | None,
    actions: Path | None,
    news: Path | None,
    seed: int | None,
) -> dict[str, Any]:
    """Return what was typed as dotted settings."""
    pace = _speed(speed)
    begins, ends = _day("--from", first), _day("--to", last)
    if begins and ends and begins > ends:
        raise BadInput(f"--from {begins} is after --to {ends}; swap them")
    if replay is None:
        stray = [
            name
            for name, value in (
                ("--source", source),
                ("--from", first),
                ("--to", last),
                ("--actions", actions),
                ("--news", news),
            )
            if value is not None
        ]
        if stray:
            raise BadInput(f"{', '.join(stray)} belongs to a replay; add --replay PATH")
        names = {"simulated.speed": pace, "simulated.seed": seed, "market.symbols": symbols}
        return {key: value for key, value in names.items() if value is not None}
    if seed is not None:
        raise BadInput(f"--seed {seed} belongs to the simulated market; a replay has none")
    return {
        "market.source": "replay",
        "market.symbols": symbols,
        "replay.path": replay,
        "replay.source": source,
        "replay.first": begins,
        "replay.last": ends,
        "replay.speed": pace,
        "replay.actions_path": actions,
        "replay.news_path": news,
    }


def _speed(text: str | None) -> float | str | None:
    if text is None or text == "max":
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadInput(f"--speed {text} is no pace; give a number above 0, or max")
    return value


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{option} {text} is no date; write it as 2011-01-03") from None


def _leave_quietly_until_the_daemon_stands() -> None:
    """Make a signal during the imports an orderly end: nothing is held or written yet.

    SIGUSR1 is kept for the kill switch before any library starts a thread that could take it.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(ExitCode.DONE)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def _world(market: Market) -> tuple[str, str]:
    """Return what kind of market it is, and how fast it goes by."""
    if market.is_live:
        return "the REAL market of today", "as it happens"
    pace = "as fast as possible" if market.speed is None else f"{market.speed:g}x"
    return "SIMULATED market" if market.is_simulated else "REPLAY of recorded bars", pace


def _banner(settings: Settings, *, to_stderr: bool) -> Callable[[Market, DataFolder], None]:
    """Return what says, once and before the first tick, what is about to run."""

    def announce(market: Market, folder: DataFolder) -> None:
        out = console(stderr=to_stderr)
        world, pace = _world(market)
        money = "REAL MONEY" if settings.broker.kind == "alpaca" and settings.alpaca.live else ""
        symbols = ", ".join(market.symbols[:12]) + (" ..." if len(market.symbols) > 12 else "")
        lines = (
            f"RoboInvest: {world}, {settings.broker.kind.upper()} broker. "
            f"{money or 'No real money'}.",
            f"  symbols  {symbols}",
            f"  decides  {settings.strategy.name or 'the house'}",
            f"  from     {market.starts_at:%Y-%m-%d %H:%M} UTC, {pace}",
            f"  data     {folder.root}",
            f"  reports  {folder.reports}",
            f"  log      {folder.logs / 'roboinvest.jsonl'}",
            f"  look     roboinvest status --data-dir {folder.root}",
            "  halt     roboinvest halt, or create the file HALT in the data folder",
            "  stop     Ctrl-C",
        )
        for line in lines:
            out.print(line, markup=False)

    return announce


def _report_end(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome.summary or {})
    elif outcome.summary is not None:
        summary = outcome.summary
        decided = summary["decisions"]
        console().print(
            f"Stopped ({outcome.reason}): {counted(summary['ticks'], 'tick')} in "
            f"{counted(summary['sessions'], 'session')}, "
            f"{decided['BUY']} BUY, {decided['SELL']} SELL, {decided['HOLD']} HOLD, "
            f"{counted(summary['fills'], 'fill')}, equity {summary['equity_end']:,.2f} USD "
            f"(buy and hold {summary['benchmark_equity_end']:,.2f}).",
            markup=False,
        )
    if outcome.exit_code:
        sys.stderr.write(f"roboinvest: {outcome.reason}\n")
        raise typer.Exit(outcome.exit_code)


def _show_decisions(tick: Mapping[str, Any]) -> None:
    if not tick:
        console().print("No tick is left to live through: the replay is done.")
        return
    console().print(f"Tick {tick['tick_id']}", markup=False)
    for decision in tick["decisions"]:
        console().print(f"  {decision['summary']}", markup=False)
        for reason in decision["reasons"]:
            share = reason["weight"] * reason["score"]
            console().print(f"    {share:+.2f} {reason['name']}: {reason['text']}", markup=False)
    for text in (*(clamp["text"] for clamp in tick["clamps"]), *tick["rejected"]):
        console().print(f"  risk: {text}", markup=False)
