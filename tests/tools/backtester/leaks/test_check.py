"""The leak check as a whole: what it says, what it costs, and that it can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import above, crosses_above
from roboinvest.core.strategy import AtColumn, Calculator, Moment, Scan
from tests.leak_corpus import (
    bars_ahead,
    calls,
    data_cases,
    kit,
    peers,
    remembered,
    whole_sample,
)
from tests.leak_corpus.kit import HOW, Case, back, by_call, by_column, forth, on, strategy, walk
from tools.backtester.contract import Played, Request
from tools.backtester.leaks.check import leak_check
from tools.backtester.leaks.effort import QUICK, THOROUGH, Effort
from tools.backtester.leaks.findings import Detector, Finding, LeakReport, Verdict, What

SEED = 7


def check(case: Case, *, effort: Effort = QUICK, played: Played | None = None) -> LeakReport:
    return leak_check(
        case.request,
        play=kit.play,
        rng=np.random.default_rng(SEED),
        effort=effort,
        beside=case.beside,
        played=played,
    )


def said(report: LeakReport, detector: Detector) -> Finding:
    return next(each for each in report.findings if each.detector is detector)


def cheat() -> Case:
    return by_column(lambda bars: forth(bars.close) - bars.close)()


def honest() -> Case:
    columns = {"slow": sma(20)}
    return on(walk(), strategy("cross", columns, Scan(long=crosses_above("close", "slow"))))


def test_every_detector_answers_once_at_least() -> None:
    for case in (cheat(), honest()):
        assert {each.detector for each in check(case).findings} == set(Detector)


def test_an_accusation_names_the_first_bar_and_what_differed_there() -> None:
    found = said(check(cheat()), Detector.PREFIX)
    bars = cheat().request.bars["AAA"]
    assert found.verdict is Verdict.SUSPECTED
    assert (found.symbol, found.name) in {("AAA", "entry"), ("AAA", "mine")}
    assert found.row is not None
    assert found.at == bars.closes_at[found.row]
    assert found.what in {What.SIGNAL, What.COLUMN}
    assert "where only what closed by" in found.text
    assert "the bars end there" in found.text


def test_what_cannot_be_asked_says_why() -> None:
    report = check(honest())
    assert said(report, Detector.PEERS).text == "the run has one symbol"
    assert said(report, Detector.ADJUSTED).text == "the prices are raw"
    assert said(report, Detector.MOMENT).verdict is Verdict.NOT_APPLICABLE
    assert all(each.text for each in report.findings)


def test_the_same_chance_gives_the_same_report() -> None:
    for case in (cheat(), honest()):
        assert check(case) == check(case)


def test_more_effort_asks_more_and_still_accuses_nobody_honest() -> None:
    quick, thorough = check(honest()), check(honest(), effort=THOROUGH)
    assert thorough.verdict is quick.verdict is Verdict.CLEAN
    assert thorough.runs > 2 * quick.runs


def test_a_run_that_was_played_already_is_not_played_again() -> None:
    lengths = list[int]()

    def counting(request: Request) -> Played:
        lengths.append(len(request.bars["AAA"]))
        return kit.play(request)

    case = honest()
    whole = len(case.request.bars["AAA"])
    leak_check(
        case.request,
        play=counting,
        rng=np.random.default_rng(SEED),
        played=kit.play(case.request),
    )
    assert lengths
    assert whole not in lengths


def test_a_year_of_minutes_is_asked_about_a_few_times_over_and_not_more() -> None:
    bars = walk(3, sessions=160, bars=390, every=1)
    made = strategy("cross", {"slow": sma(20)}, Scan(long=crosses_above("close", "slow")))
    case = on(bars, made, timeframe=Timeframe.MINUTE)
    report = check(case, played=kit.play(case.request))
    assert report.verdict is Verdict.CLEAN
    assert report.rows < 30 * len(bars)


def test_failing_where_the_tape_ends_is_an_accusation() -> None:
    def needs_the_next(bars: SessionBars) -> Any:
        ahead = [bars.close[row + 1] for row in range(min(len(bars), 900))]
        return np.append(ahead, np.full(len(bars) - len(ahead), np.nan)) - bars.close

    found = said(check(by_column(needs_the_next)()), Detector.PREFIX)
    assert found.what is What.ERROR
    assert "IndexError" in found.text


def test_a_failure_on_a_tape_that_never_was_is_no_accusation() -> None:
    def sober(bars: SessionBars) -> Any:
        if (bars.high > 2.0 * bars.open).any():
            raise BadInput("a bar doubles; give clean bars")
        return bars.close - back(bars.close)

    report = check(by_column(sober)())
    assert report.verdict is Verdict.CLEAN


def test_a_run_that_the_strategy_refuses_is_refused_by_the_check() -> None:
    made = strategy(
        "wrong", {}, Scan(long=above("close", "open")), replace(HOW, stop=AtColumn("high"))
    )
    with pytest.raises(BadInput, match="stop of the entry"):
        check(on(walk(), made))


def test_a_strategy_that_writes_into_its_bars_is_told_so() -> None:
    def write(bars: SessionBars) -> Any:
        bars.close[0] = 0.0
        return bars.close

    case = by_column(write)()
    before = case.request.bars["AAA"].close.copy()
    report = check(case)
    assert report.caught_by == (Detector.REPEAT,)
    assert np.array_equal(case.request.bars["AAA"].close, before)


def test_rows_before_the_first_day_with_decisions_are_never_asked_of_a_call() -> None:
    case = by_call(lambda now: now("close") > now("open"))()
    bars = case.request.bars["AAA"]
    day = date.fromordinal(int(bars.day[6 * kit.A_DAY]))
    report = check(replace(case, request=replace(case.request, first=day)))
    assert report.verdict is Verdict.CLEAN


def rare(bars_between: int) -> Callable[[SessionBars], Any]:
    """Looks one bar ahead at one bar of many, and is an honest dip else."""

    def column(bars: SessionBars) -> Any:
        at = ((bars.ts // 300_000_000_000) % bars_between) == 0
        return np.where(at, forth(bars.close) - bars.close, back(bars.close, 2) - bars.close)

    return column


@pytest.mark.parametrize("between", [7, 40])
def test_a_peek_at_few_bars_is_found_with_effort(between: int) -> None:
    report = check(by_column(rare(between))(), effort=THOROUGH)
    assert {Detector.PREFIX, Detector.FUTURE} <= set(report.caught_by)


def test_a_cheat_in_one_of_many_symbols_is_found() -> None:
    def column(bars: SessionBars) -> Any:
        if bars.symbol == "S7":
            return forth(bars.close) - bars.close
        return bars.close - back(bars.close)

    tape = {f"S{at}": walk(at, symbol=f"S{at}", sessions=4) for at in range(9)}
    columns = {"mine": Calculator(name="mine", warm_up=0, compute=column)}
    report = check(on(tape, strategy("one", columns, Scan(long=above("mine", 0.0)))))
    assert Detector.PREFIX in report.caught_by
    assert said(report, Detector.PREFIX).symbol == "S7"


def test_sentences_begin_with_the_accusations() -> None:
    lines = check(cheat()).sentences()
    assert lines[0].startswith("prefix (suspected): ")
    assert sum("(suspected)" in line for line in lines) == len(check(cheat()).suspected)


def test_a_call_that_only_touches_its_bars_is_told() -> None:
    def touching(now: Any) -> bool:
        return len(now.bars) > 0 and now("close") > now("open")

    report = check(by_call(touching)())
    assert Detector.MOMENT in report.caught_by
    assert Detector.PREFIX not in report.caught_by
    assert "reaches for bars" in said(report, Detector.MOMENT).text


def test_a_call_that_asks_what_it_may_is_clean() -> None:
    def asking(now: Moment) -> bool:
        return now.symbol == "AAA" and now("close") > now("close", 5)

    report = check(by_call(asking)())
    assert said(report, Detector.MOMENT).verdict is Verdict.CLEAN
    assert report.verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("room", "name", "detectors"),
    [
        (peers, "another symbol's next bar", {Detector.PREFIX, Detector.PEERS}),
        (whole_sample, "z-score of the whole sample", {Detector.SCALE, Detector.FUTURE}),
        (whole_sample, "place in the sample", {Detector.PREFIX, Detector.FUTURE}),
        (calls, "exit at the day's extreme", {Detector.PREFIX, Detector.FUTURE}),
        (remembered, "memory in a closure", {Detector.REPEAT, Detector.CARRIED}),
        (remembered, "answers by time", {Detector.BLIND, Detector.CARRIED}),
        (data_cases, "news before its time", {Detector.FEED}),
        (data_cases, "survivors", {Detector.DATA}),
        (data_cases, "price level known by a later split", {Detector.ADJUSTED}),
        (data_cases, "entries at prices the bar never saw", {Detector.FILLS}),
        (bars_ahead, "next bar's close", {Detector.LAG, Detector.PREFIX}),
    ],
)
def test_a_cheat_is_seen_by_the_detector_that_is_there_for_it(
    room: ModuleType, name: str, detectors: set[Detector]
) -> None:
    case = next(pair for pair in room.PAIRS if pair.name == name).cheat()
    report = leak_check(
        case.request,
        play=case.play or kit.play,
        rng=np.random.default_rng(SEED),
        beside=case.beside,
    )
    assert detectors <= set(report.caught_by)


def test_looking_at_its_own_future_is_not_laid_to_the_other_symbols() -> None:
    case = next(pair for pair in peers.PAIRS if pair.name == "only for one symbol").cheat()
    report = check(case)
    assert Detector.PREFIX in report.caught_by
    assert said(report, Detector.PEERS).verdict is Verdict.CLEAN
