"""The rows of a report's tables, for the page, the JSON and the terminal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Final

from roboinvest.core.fills import FillRules
from roboinvest.core.risk import limits_snapshot
from roboinvest.core.text.counting import counted
from tools.backtester.contract import BacktestResult
from tools.backtester.report.definitions import FIGURES, Definition, value_of
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.measures.costs import costs_of, exposure_by_bar, reckoning
from tools.backtester.report.words import (
    UNKNOWN,
    day_text,
    listed,
    number,
    percent,
    shown,
    usd,
)

WILSON: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRow:
    """A figure with what it must be read beside."""

    definition: Definition
    value: float | None
    low: float | None
    high: float | None
    level: float | None  # of the interval
    benchmark: float | None  # buy and hold

    @property
    def text(self) -> str:
        """Return the figure in its unit."""
        return shown(self.value, self.definition.unit)

    @property
    def benchmark_text(self) -> str:
        """Return the benchmark's figure in its unit."""
        return shown(self.benchmark, self.definition.unit)

    @property
    def interval(self) -> str:
        """Return the interval in words."""
        if self.low is None or self.high is None or self.level is None:
            return UNKNOWN
        unit = self.definition.unit
        return f"{shown(self.low, unit)} to {shown(self.high, unit)} ({percent(self.level, 0)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A name and what belongs to it."""

    name: str
    text: str
    note: str = ""  # what it means, where that is not plain


def figure_rows(result: BacktestResult, evidence: Evidence) -> tuple[FigureRow, ...]:
    """Return every figure with its interval and the benchmark's."""
    return tuple(_figure_row(each, result, evidence) for each in FIGURES)


def _figure_row(each: Definition, result: BacktestResult, evidence: Evidence) -> FigureRow:
    low = high = level = None
    win_rate, resampled = result.figures.win_rate, evidence.interval_of(each.name)
    if each.name == "win_rate" and win_rate is not None:
        low, high, level = win_rate.low, win_rate.high, WILSON
    elif resampled is not None:
        low, high, level = resampled.low, resampled.high, resampled.level
    of_trades = each.name in _OF_TRADES
    return FigureRow(
        definition=each,
        value=value_of(result.figures, each.name),
        low=low,
        high=high,
        level=level,
        benchmark=None if of_trades else value_of(result.benchmark_figures, each.name),
    )


_OF_TRADES: Final = frozenset(
    {"trades", "win_rate", "profit_factor", "payoff_ratio", "expectancy_usd", "expectancy_r"}
)


def bar_exposure_rows(result: BacktestResult) -> tuple[Fact, ...]:
    """Return exposure as it was at every bar's close, not only overnight."""
    mean, held = exposure_by_bar(result)
    return (
        Fact(
            name="Exposure, bar by bar",
            text=percent(mean),
            note="Mean gross value of positions over equity at the closes of bars.",
        ),
        Fact(
            name="Bars with a position",
            text=percent(held),
            note="Share of the bars' closes at which something was held.",
        ),
    )


def run_facts(result: BacktestResult) -> tuple[Fact, ...]:
    """Return what was tested, on what."""
    request = result.request
    n = len(result.days)
    days = counted(n, "trading day")
    if n:
        days += f", {day_text(_day(result, 0))} to {day_text(_day(result, -1))}"
    values = listed([f"{name} {value:g}" for name, value in request.values.items()])
    return (
        Fact(name="Symbols", text=listed(sorted(result.stage.parts))),
        Fact(name="Bars", text=", ".join(filter(None, (request.timeframe, request.source)))),
        Fact(name="Days", text=days),
        Fact(name="Parameters", text=values or "none"),
        Fact(name="Cash at the start", text=usd(request.terms.cash)),
        Fact(name="Idea from", text=request.strategy.source or UNKNOWN),
    )


def terms_facts(result: BacktestResult) -> tuple[Fact, ...]:
    """Return the account, its costs and its limits."""
    terms = result.request.terms
    facts = [
        Fact(name="Executor", text=result.executor),
        *_rule_facts(terms.rules),
        Fact(name="Short sales", text="allowed" if terms.allow_short else "not allowed"),
    ]
    if terms.limits is None:
        facts.append(Fact(name="Risk limits", text="not applied"))
    else:
        plain = json.loads(limits_snapshot(terms.limits))
        words = [f"{name} {value}" for name, value in plain.items() if value is not None]
        protected = "not applied" if terms.protections is None else "applied"
        facts.append(Fact(name="Risk limits", text="; ".join(words)))
        facts.append(Fact(name="Protections", text=protected))
    return (*facts, Fact(name="Digest", text=result.digest))


def _rule_facts(rules: FillRules) -> tuple[Fact, ...]:
    """Return what fills cost, and when there are any."""
    share = rules.volume_share
    taxed = f"{rules.sec_fee_rate:f} of the proceeds, {rules.taf_per_share_usd:f} USD a share"
    beyond = rules.limit_needs_trade_through
    return (
        Fact(name="Slippage", text=f"{rules.slippage_bps:f} bp on market and stop orders"),
        Fact(name="Commission", text=f"{rules.commission_per_share_usd:f} USD a share, each side"),
        Fact(name="Fees on sales", text=f"{taxed} up to {usd(rules.taf_cap_usd)}"),
        Fact(
            name="Share of a bar's volume",
            text="no limit" if share is None else percent(float(share), 0),
        ),
        Fact(
            name="Limits fill",
            text="a tick beyond their price" if beyond else "when their price is touched",
        ),
    )


def reckoning_facts(result: BacktestResult) -> tuple[Fact, ...]:
    """Return how the money at the end came about, line by line."""
    sums = reckoning(result)
    facts = [
        Fact(name="Cash at the start", text=usd(sums.cash)),
        Fact(name="Round trips, after fees", text=usd(sums.trades, signed=True)),
        Fact(name="Dividends", text=usd(sums.dividends, signed=True)),
    ]
    if sums.rounding:
        facts.append(Fact(name="Rounding", text=usd(sums.rounding, signed=True)))
    facts.append(Fact(name="Equity, all positions sold", text=usd(sums.liquidated)))
    if sums.open_positions:
        facts.append(Fact(name="Equity, open positions at their marks", text=usd(sums.marked)))
    return tuple(facts)


def cost_facts(result: BacktestResult) -> tuple[Fact, ...]:
    """Return what trading cost."""
    costs = costs_of(result)
    bps = UNKNOWN if costs.of_turnover_bps is None else f"{costs.of_turnover_bps:.2f} bp"
    times = UNKNOWN if costs.turnover_a_year is None else f"{costs.turnover_a_year:,.1f} times"
    return (
        Fact(name="Commission and fees", text=usd(costs.fees)),
        Fact(name="Slippage", text=usd(costs.slippage)),
        Fact(name="Bought and sold", text=usd(costs.turnover)),
        Fact(name="Turnover a year, of mean equity", text=times),
        Fact(name="Costs, of what was traded", text=bps),
        Fact(name="Costs, of the profit without them", text=percent(costs.of_gross_profit, 1)),
    )


def signal_facts(result: BacktestResult) -> tuple[Fact, ...]:
    """Return what became of the signals: what was never sent, cut, or died."""
    played = result.played
    facts = [
        Fact(
            name="Bars with a signal",
            text=f"{played.signals:,}",
            note="Closed bars, while flat, at which an entry was wanted.",
        ),
        Fact(
            name="Round trips",
            text=f"{len(result.round_trips):,}",
            note="Entries that were filled, those still open at the end included.",
        ),
    ]
    for rule, count in sorted(played.refused.items()):
        facts.append(Fact(name=f"Refused: {rule}", text=f"{count:,}", note="Entries not sent."))
    for rule, count in sorted(played.clamped.items()):
        facts.append(Fact(name=f"Cut: {rule}", text=f"{count:,}", note="Entries made smaller."))
    facts += [
        Fact(name="Short of cash", text=f"{played.unaffordable:,}", note="Fills cut or left out."),
        Fact(name="Expired", text=f"{played.expired:,}", note="Entries that died with a session."),
        Fact(
            name="Ambiguous bars",
            text=f"{played.ambiguous:,}",
            note="Touched stop and target; the worst was assumed.",
        ),
        Fact(
            name="Resolved bars",
            text=f"{played.resolved:,}",
            note="Touched both, and finer bars told which came first.",
        ),
    ]
    return tuple(facts)


def chance_facts(evidence: Evidence) -> tuple[Fact, ...]:
    """Return what is known about skill and chance; what nobody looked at says so."""
    not_run = "not computed"
    return (
        Fact(
            name="Trials",
            text=not_run if evidence.trials is None else f"{evidence.trials:,}",
            note="Runs of this strategy's lineage so far; those given up or renamed count too.",
        ),
        Fact(
            name="Probabilistic Sharpe ratio",
            text=_chance(evidence.probabilistic_sharpe, not_run),
            note="Chance that the true Sharpe ratio is above 0, given length, skew and tails "
            "(Bailey and Lopez de Prado 2012).",
        ),
        Fact(
            name="Deflated Sharpe ratio",
            text=_chance(evidence.deflated_sharpe, not_run),
            note="Chance that it is above what the best of so many trials without skill would "
            "show (Bailey and Lopez de Prado 2014). Below 95 % it is no evidence of skill.",
        ),
        _null(
            "Permutation test",
            (evidence.permutation_p, evidence.permutations),
            "Share of runs with as many random entries, left by the same rules, that did at "
            "least as well.",
        ),
        _null(
            "Random entry with equal exposure",
            (evidence.exposure_p, evidence.exposures),
            "Share of runs with as many positions, held for as long at random times, that did "
            "at least as well.",
        ),
        Fact(
            name="Minimum track record",
            text=not_run
            if evidence.minimum_track_record is None
            else counted(evidence.minimum_track_record, "daily return"),
            note="Needed to be 95 % sure that the Sharpe ratio is above 0.",
        ),
    )


def _null(name: str, found: tuple[float | None, int | None], meaning: str) -> Fact:
    p, drawn = found
    return Fact(
        name=name,
        text="not computed" if p is None else f"p = {number(p, 3)}",
        note=("" if drawn is None else f"{drawn:,} draws. ") + meaning,
    )


def headline(result: BacktestResult) -> str:
    """Return the run in two sentences."""
    figures = result.figures
    if not len(result.days):
        return "The run has no trading day."
    from_to = f"From {day_text(_day(result, 0))} to {day_text(_day(result, -1))}"
    start, end = result.request.terms.cash, result.daily_equity[-1]
    made = percent(figures.total_return, signed=True)
    kept = percent(result.benchmark_figures.total_return, signed=True)
    trades = counted(figures.trades, "trade")
    won = "" if figures.win_rate is None else f", of which {percent(figures.win_rate.value, 1)} won"
    return (
        f"{from_to} it turned {usd(start)} into {end / 10_000:,.2f} USD ({made}); buying and "
        f"holding made {kept}. It finished {trades}{won}."
    )


def _chance(value: float | None, missing: str) -> str:
    return missing if value is None else percent(value, 1)


def _day(result: BacktestResult, row: int) -> date:
    return date.fromordinal(int(result.days[row]))
