"""What a reader must know before the figures, in sentences: the fact, the value, the next step.

Nothing is kept back because it would spoil a good curve. The most serious comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import groupby, pairwise
from statistics import fmean
from typing import Final

import numpy as np

from roboinvest.core.market.grid import from_units
from roboinvest.core.text.counting import counted
from tools.backtester.contract import BacktestResult
from tools.backtester.leaks.findings import Verdict
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.measures.curves import days_of
from tools.backtester.report.words import day_text, listed, number, percent, sentence, usd

FEW_TRADES: Final = 30
FEW_DAYS: Final = 60
SURE: Final = 0.95
CLOSED_DAYS: Final = 7  # calendar days; the exchange was never closed for longer
MOST_GAPS: Final = 3  # that are named
CHANCE: Final = 0.05
KEPT_OUT_OF_SAMPLE: Final = 0.5  # of the Sharpe ratio, where a walk-forward is still believed


class Weight(StrEnum):
    """How much a notice changes what the page says."""

    INVALID = "Not valid"  # the figures mean nothing
    WARNING = "Warning"
    NOTE = "Note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One sentence or two for a person."""

    weight: Weight
    name: str  # "leak", for machines
    text: str


def notices_of(result: BacktestResult, evidence: Evidence) -> tuple[Notice, ...]:
    """Return everything a reader must know, the most serious first."""
    found = [
        *_leaks(evidence),
        *_no_trades(result),
        *_overfit(evidence),
        *_too_few(result, evidence),
        *_ambiguous(result),
        *_unprotected(result),
        *_account(result),
        *_at_the_end(result),
        *_contamination(evidence),
        *_gaps(result),
        *(_note("data", sentence(text)) for text in dict.fromkeys(result.warnings)),
    ]
    order = list(Weight)
    return tuple(sorted(found, key=lambda notice: order.index(notice.weight)))


def _leaks(evidence: Evidence) -> Iterator[Notice]:
    if not evidence.leaks:
        yield _warning(
            "unchecked",
            "No leak detector has looked at this strategy yet, so its figures may know the "
            "future; run the leak check.",
        )
    for finding in evidence.leaks:
        if finding.verdict is Verdict.SUSPECTED:
            yield Notice(
                weight=Weight.INVALID,
                name="leak",
                text=f"Leak suspected by the {finding.detector} check: {sentence(finding.text)} "
                "Believe no figure of this page until it is mended.",
            )


def _no_trades(result: BacktestResult) -> Iterator[Notice]:
    if result.round_trips:
        return
    played = result.played
    if not played.signals:
        yield _warning(
            "no_signal",
            f"The scan never wanted to enter in {counted(len(played.instants), 'bar')}; "
            "look at its conditions and its warm-up.",
        )
        return
    why = [f"{rule} refused {n}" for rule, n in sorted(played.refused.items())]
    if played.unaffordable:
        why.append(f"cash fell short at {played.unaffordable}")
    if played.expired:
        why.append(f"{played.expired} died with their session")
    yield _warning(
        "no_trade",
        f"{counted(played.signals, 'bar')} wanted an entry and none was filled"
        + (f": {listed(why)}." if why else "."),
    )


def _overfit(evidence: Evidence) -> Iterator[Notice]:
    chance, trials = evidence.deflated_sharpe, evidence.trials
    if chance is not None and chance < SURE and trials == 1:
        yield _warning(
            "no_evidence",
            f"The true Sharpe ratio is above 0 with a chance of {percent(chance, 0)}, and "
            f"{percent(SURE, 0)} is asked for; more days would tell.",
        )
    elif chance is not None and chance < SURE:
        among = "" if trials is None else f" as the best of {counted(trials, 'trial')}"
        yield _warning(
            "overfit",
            f"Overfit suspected: seen{among}, the Sharpe ratio is skill with a chance of "
            f"{percent(chance, 0)}, and {percent(SURE, 0)} is asked for; test it on days that no "
            "trial has seen.",
        )
    elif chance is None:
        yield _note(
            "trials",
            "The figures are not corrected for the number of trials that led here; the best of "
            "many always looks good.",
        )
    yield from _walk_forward(evidence)
    p = evidence.permutation_p
    if p is not None and p > CHANCE:
        yield _warning(
            "chance",
            f"As many random entries, left by the same rules, did as well in {percent(p, 1)} of "
            f"the draws, and at most {percent(CHANCE, 0)} is asked for; the entries may be worth "
            "nothing.",
        )


def _walk_forward(evidence: Evidence) -> Iterator[Notice]:
    both = [
        (fold.train_sharpe, fold.test_sharpe)
        for fold in evidence.folds
        if fold.train_sharpe is not None and fold.test_sharpe is not None
    ]
    if not both:
        return
    trained, tested = fmean(pair[0] for pair in both), fmean(pair[1] for pair in both)
    if trained > 0.0 and tested < KEPT_OUT_OF_SAMPLE * trained:
        yield _warning(
            "walk_forward",
            f"Overfit suspected: over {counted(len(both), 'fold')} the mean Sharpe ratio was "
            f"{number(trained)} on the days it was chosen on and {number(tested)} on the days "
            "after; expect the second.",
        )


def _too_few(result: BacktestResult, evidence: Evidence) -> Iterator[Notice]:
    trades, days = result.figures.trades, len(result.days)
    if result.round_trips and trades < FEW_TRADES:
        yield _warning(
            "few_trades",
            f"{counted(trades, 'finished trade')}, and fewer than {FEW_TRADES} are too few to "
            "judge: the figures are shown, and chance alone may have made them.",
        )
    if days < FEW_DAYS:
        yield _warning(
            "few_days",
            f"{counted(days, 'trading day')}, and annual figures from fewer than {FEW_DAYS} say "
            "little.",
        )
    needed = evidence.minimum_track_record
    if needed is not None and needed > result.figures.periods:
        yield _warning(
            "track_record",
            f"The track record is too short: {counted(needed, 'daily return')} are needed to be "
            f"{percent(SURE, 0)} sure that the Sharpe ratio is above 0, and there are "
            f"{result.figures.periods:,}.",
        )


def _ambiguous(result: BacktestResult) -> Iterator[Notice]:
    if not result.played.ambiguous:
        return
    worst = sum((trip.pnl for trip in result.round_trips), Decimal(0))
    kindest = sum((trip.kindest_pnl for trip in result.round_trips), Decimal(0))
    yield _note(
        "ambiguous",
        f"{counted(result.played.ambiguous, 'bar')} touched both stop and target and cannot tell "
        f"which came first. The worst is assumed: {usd(worst, signed=True)} over all trades. Had "
        f"every such bar been kind it would be {usd(kindest, signed=True)}; finer bars would tell.",
    )


def _unprotected(result: BacktestResult) -> Iterator[Notice]:
    wishes = [part.signals for part in result.stage.parts.values()]
    entries = sum(int(np.count_nonzero(each.entry)) for each in wishes)
    bare = sum(int(np.sum((each.entry != 0) & (each.stop == 0))) for each in wishes)
    if bare == entries and result.stage.plan.execution.stop is None:
        yield _note(
            "no_stop",
            "The strategy declares no stop, and the daemon sends no entry without one: it can be "
            "tested and not traded. Declare a stop to trade it.",
        )
    elif bare:
        yield _note(
            "no_stop",
            f"{bare:,} of {counted(entries, 'wanted entry', 'wanted entries')} came without a "
            "stop, and the daemon sends none of those. Declare a stop to trade them.",
        )


def _account(result: BacktestResult) -> Iterator[Notice]:
    if result.request.terms.limits is None:
        yield _note(
            "no_limits",
            "The risk limits were not applied: only cash bounded the positions. The daemon would "
            "cut them.",
        )
    if result.request.adjusted:
        yield _note(
            "adjusted",
            f"Prices of {listed(sorted(result.request.adjusted))} are adjusted for splits that "
            "came later, so prices, whole shares and fees per share are not those of the day.",
        )
    if result.played.unaffordable:
        yield _note(
            "cash",
            f"Cash fell short at {counted(result.played.unaffordable, 'fill')}, which were cut or "
            "left out.",
        )
    if result.played.expired:
        yield _note(
            "expired",
            f"{counted(result.played.expired, 'entry', 'entries')} died with the session, wholly "
            "or in part, because the bars had too little volume or none came.",
        )


def _at_the_end(result: BacktestResult) -> Iterator[Notice]:
    still = [trip for trip in result.round_trips if trip.is_open]
    if not still:
        return
    marked = from_units(int(result.daily_equity[-1]))
    liquidated = from_units(result.liquidated)
    held = [
        f"{symbol} ({counted(len(list(trips)), 'entry', 'entries')})"
        for symbol, trips in groupby(sorted(trip.symbol for trip in still))
    ]
    yield _note(
        "open",
        f"Positions are open at the end: {listed(held)}. Equity is {usd(marked)} at the last "
        f"marks and {usd(liquidated)} had they been sold there, costs included. The figures take "
        "the marks, the tables of trades the sale.",
    )


def _gaps(result: BacktestResult) -> Iterator[Notice]:
    days = days_of(result)
    gaps = [
        f"between {day_text(before)} and {day_text(after)}"
        for before, after in pairwise(days)
        if (after - before).days > CLOSED_DAYS
    ]
    if gaps:
        named, more = gaps[:MOST_GAPS], len(gaps) - MOST_GAPS
        if more > 0:
            named.append(counted(more, "time more", "times more"))
        yield _note(
            "gap",
            f"There are no bars {listed(named)}. The curves leave these days out, and annual "
            "figures count only the days there are.",
        )


def _contamination(evidence: Evidence) -> Iterator[Notice]:
    if evidence.contamination:
        yield _warning("contamination", sentence(evidence.contamination))


def _warning(name: str, text: str) -> Notice:
    return Notice(weight=Weight.WARNING, name=name, text=text)


def _note(name: str, text: str) -> Notice:
    return Notice(weight=Weight.NOTE, name=name, text=text)
