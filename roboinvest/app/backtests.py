"""Backtests as a person asks for them: settings, bars, the run book, and how a run is judged."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from roboinvest.app.strategies import parameters
from roboinvest.core.errors import BadInput
from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.market.values import Timeframe
from roboinvest.core.strategy import Strategy
from roboinvest.runtime.configuration.mandate_file import MandateFile
from roboinvest.runtime.configuration.policies import (
    clock_of,
    fill_rules,
    protection_rules,
    risk_limits,
)
from roboinvest.runtime.configuration.settings import Settings
from tools.backtester.bars import RunBars, load_finer, load_run_bars
from tools.backtester.contract import BacktestResult, Request, Terms
from tools.backtester.engine import Executor, run_backtest
from tools.backtester.judge import evidence_of
from tools.backtester.leaks.effort import QUICK, Effort
from tools.backtester.report.evidence import Evidence
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.notes import note_of
from tools.backtester.search.walk_forward import WalkForwardResult
from tools.boxed_strategies.shelf import StrategyShelf
from tools.calendar import ExchangeCalendar

_COSTS: Final = (
    "slippage_bps",
    "volume_share",
    "commission_per_share_usd",
    "sec_fee_rate",
    "taf_per_share_usd",
    "taf_cap_usd",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A backtest in a person's words."""

    strategy: str  # see `tools.boxed_strategies.shelf`
    bars: Path | None = None  # None: the store of the data folder
    source: str | None = None
    symbols: tuple[str, ...] | None = None
    timeframe: Timeframe | None = None  # where a store holds several bar lengths
    params: tuple[str, ...] = ()  # name=value
    first: date | None = None
    last: date | None = None
    actions: Path | None = None
    cash: Decimal | None = None  # USD; None: as the settings say
    costs: str | None = None  # None: as the settings say; "none", or name=value pairs
    limits: bool = False  # the daemon's limits, mandate and protections
    short: bool = False  # whether short positions may be opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run, what is known beside it, and its number in the run book."""

    run: int
    result: BacktestResult
    evidence: Evidence
    words: tuple[str, ...]  # of the run book


class BacktestDesk:
    """Runs backtests on one installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = clock_of(settings)
        self.calendar = ExchangeCalendar()
        self.folder = settings.data_dir
        self.shelf = StrategyShelf(settings.data_dir, self.clock)
        self._loaded: dict[tuple[object, ...], RunBars] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the boxes, where a strategy needed them."""
        self.shelf.close()

    def book(self) -> RunBook:
        """Open the run book; the caller closes it."""
        return RunBook.open(self.folder, self.clock)

    def look(self) -> RunBook | None:
        """Open the run book to read it; None where there is none."""
        return RunBook.look(self.folder, self.clock)

    def request(self, asked: Asked) -> Request:
        """Return what is to be run.

        Raises:
            BadInput: the strategy, a parameter, the bars or the costs are wrong.
        """
        strategy = self.shelf.find(asked.strategy)
        values = strategy.values(parameters(asked.params))
        bars = self.bars(asked)
        return Request(
            strategy=strategy,
            values=values,
            bars=bars.bars,
            timeframe=bars.timeframe,
            terms=self._terms(asked, bars),
            actions=bars.actions,
            first=bars.first,
            source=bars.source,
            adjusted=bars.adjusted,
            finer=bars.finer,
            notes=_notes(bars),
        )

    def bars(self, asked: Asked) -> RunBars:
        """Return the bars that are asked for; those of the last question are kept."""
        path = asked.bars or self.folder / "bars"
        if not path.exists():
            raise BadInput(
                f"{path} does not exist; give --bars PATH, or fill the store: "
                "roboinvest data import FILE"
            )
        span = (asked.first, asked.last)
        key = (path, asked.symbols, asked.source, asked.timeframe, *span, asked.actions)
        if key not in self._loaded:
            run = load_run_bars(
                path,
                self.calendar,
                symbols=asked.symbols,
                source=asked.source,
                first=asked.first,
                last=asked.last,
                actions_path=asked.actions,
                timeframe=asked.timeframe,
            )
            self._loaded = {key: replace(run, finer=load_finer(path, run, self.calendar))}
        return self._loaded[key]

    def run(
        self,
        asked: Asked,
        book: RunBook,
        *,
        executor: Executor = "auto",
        effort: Effort = QUICK,
        walked: WalkForwardResult | None = None,
        report: Path | None = None,
    ) -> Judged:
        """Run, note it in the book, and judge it. Blocking.

        Raises:
            BadInput: see `request` and `engine.prepare`.
            Refused: the run reaches into days that its lineage has locked.
        """
        request = self.request(asked)
        result = run_backtest(request, executor=executor)
        number = book.note(note_of(result, file=self.shelf.place_of(asked.strategy), report=report))
        standing = book.standing(number)
        evidence = evidence_of(
            result,
            standing,
            rng=np.random.default_rng(zlib.crc32(result.digest.encode())),
            source=self.shelf.source_of(asked.strategy),
            effort=effort,
            walked=walked,
        )
        return Judged(run=number, result=result, evidence=evidence, words=standing.words)

    def _terms(self, asked: Asked, bars: RunBars) -> Terms:
        settings, length = self.settings, bars.timeframe.length
        limits = protections = None
        if asked.limits:
            mandate = MandateFile(settings.mandate.path).read()
            limits = risk_limits(settings, length, mandate)
            protections = protection_rules(settings, length)
        return Terms(
            cash=asked.cash or settings.broker.starting_cash_usd,
            rules=costs_of(asked.costs, fill_rules(settings)),
            allow_short=asked.short or settings.risk.allow_short,
            limits=limits,
            protections=protections,
        )


def costs_of(text: str | None, usual: FillRules) -> FillRules:
    """Return what trading costs: `none`, or the usual with some figures replaced.

    Raises:
        BadInput: a name is unknown, or a value is no number.
    """
    if text is None:
        return usual
    if text == "none":
        return FRICTIONLESS
    given = dict[str, Any]()
    for name, value in parameters(text.split(",")).items():
        if name not in _COSTS:
            raise BadInput(f"--costs {name} is unknown; it is none, or of {', '.join(_COSTS)}")
        try:
            given[name] = None if value == "none" and name == "volume_share" else Decimal(value)
        except InvalidOperation:
            raise BadInput(f"--costs {name}={value} is no number; write it as 5 or 0.5") from None
    return replace(usual, **given)


def _notes(bars: RunBars) -> tuple[str, ...]:
    """Return what a reader should know of the bars."""
    if not bars.set_aside:
        return ()
    why = ", ".join(f"{reason} {count}" for reason, count in bars.set_aside.items())
    used = sum(len(each) for each in bars.bars.values())
    hint = ""
    if "unexplained_jump" in bars.set_aside:
        hint = " A jump that no split explains sets a symbol aside: give --actions."
    return (f"{used} of {bars.rows} bars were used; the gate noted {why}.{hint}",)


def suiting(strategies: Sequence[Strategy], bars: RunBars) -> Mapping[bool, list[Strategy]]:
    """Return which strategies make sense on these bars, and which do not."""
    found: dict[bool, list[Strategy]] = {True: [], False: []}
    for each in strategies:
        fits = each.timeframe.suits(bars.timeframe) and len(bars.bars) >= each.symbols
        found[fits].append(each)
    return found
