"""A run's bars: good rows of regular hours, what came of the others, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import from_ns, to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import ActionKind, Timeframe
from tests.fakes.bar_files import lines_of, quiet_rows, write_csv, write_parquet
from tests.fakes.replays import CALENDAR, altered
from tests.tools.backtester.report.builders import walked
from tools.backtester.bars import (
    COLUMNS,
    WARM_UP_SESSIONS,
    RunBars,
    digest_of,
    good_bars,
    load_finer,
    load_run_bars,
    span,
)
from tools.bars.store import BarStore
from tools.bars.table import read_table

FIRST, LAST = date(2024, 6, 24), date(2024, 7, 5)  # the 3rd of July is a half day, the 4th is none
HALF_DAY = date(2024, 7, 3)
DAYS = CALENDAR.sessions(FIRST, LAST)
FIVE = Timeframe.MINUTES_5
RAW, ADJUSTED = ("SPY", "vendor", False), ("SPY", "vendor", True)
HEAD = "symbol,last_date_inclusive,price_factor,split_factor,reference_price"


def file_of(
    folder: Path,
    rows: RawRows | None = None,
    *,
    name: str = "bars.csv",
    symbol: str = "SPY",
) -> Path:
    """Write a file of one symbol's five-minute bars, of all the days unless rows are given."""
    return write_csv(folder / name, lines_of(symbol, rows or quiet_rows(DAYS, FIVE)))


def load(path: Path, **asked: Any) -> RunBars:
    return load_run_bars(path, CALENDAR, **asked)


def table_of(run: RunBars, symbol: str = "SPY") -> list[list[float]]:
    """Return a symbol's bars as rows of plain numbers."""
    bars = run.bars[symbol]
    rows = zip(*(getattr(bars, name).tolist() for name in COLUMNS), strict=True)
    return [list(row) for row in rows]


def store_of(
    folder: Path, series: Mapping[tuple[str, str, bool], Sequence[tuple[RawRows, Timeframe]]]
) -> Path:
    """Fill a store; the bar lengths of a symbol come one after the other."""
    store = BarStore(folder / "store")
    for key, lengths in series.items():
        for rows, timeframe in lengths:
            path = write_parquet(folder / "import.parquet", {key: rows})
            store.add(read_table(path), timeframe=timeframe)
    return store.folder


def of_days(first: date, last: date, timeframe: Timeframe) -> RawRows:
    return quiet_rows(CALENDAR.sessions(first, last), timeframe)


def factors(folder: Path, symbol: str = "SPY") -> Path:
    """Write a factor file with a split of 2 for 1 on the 27th."""
    path = folder / "factors.csv"
    lines = [HEAD, f"{symbol},2024-06-26,1,0.5,100", f"{symbol},2050-12-31,1,1,0"]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_in_any_order_are_the_same_bars(tmp_path: Path) -> None:
    rows = quiet_rows(DAYS, FIVE)
    print("seed 4")
    mixed = rows.take(np.random.default_rng(4).permutation(len(rows)))
    straight = load(file_of(tmp_path, rows))
    shuffled = load(file_of(tmp_path, mixed, name="shuffled.csv"))
    assert len(straight.bars["SPY"]) == len(rows)
    assert table_of(shuffled) == table_of(straight)
    assert shuffled.digest == straight.digest
    assert (shuffled.rows, shuffled.set_aside) == (len(rows), {})


def test_rows_outside_regular_hours_are_left_out_and_not_counted(tmp_path: Path) -> None:
    rows = quiet_rows(DAYS, FIVE)
    session = DAYS[1]
    outside = [
        session.opens_at - timedelta(minutes=5),  # closes as the session opens
        session.closes_at,
        session.closes_at + timedelta(hours=2),
        session.opens_at - timedelta(hours=3),
        session.opens_at + timedelta(days=4),  # a Saturday
    ]
    assert (DAYS[1].day + timedelta(days=4)).weekday() == 5
    ts = np.append(rows.ts, [to_ns(at) for at in outside])
    wild = np.repeat([[500.0], [900.0], [1.0], [500.0], [5.0]], len(outside), axis=1)
    extended = load(file_of(tmp_path, RawRows.of(ts, np.hstack([rows.values, wild])), name="x.csv"))
    regular = load(file_of(tmp_path, rows))
    assert table_of(extended) == table_of(regular)
    assert (extended.rows, extended.set_aside) == (len(rows), {})


def test_a_half_day_ends_at_one_o_clock(tmp_path: Path) -> None:
    (half,) = [session for session in DAYS if session.day == HALF_DAY]
    whole = replace(half, closes_at=half.closes_at + timedelta(hours=3), is_half_day=False)
    days = [whole if session is half else session for session in DAYS]
    bars = load(file_of(tmp_path, quiet_rows(days, FIVE))).bars["SPY"]
    mine = bars.day == HALF_DAY.toordinal()
    assert np.count_nonzero(mine) == 42  # three hours and a half
    assert set(bars.ends[mine].tolist()) == {to_ns(half.closes_at)}
    assert bars.closes_at[mine].max() == to_ns(half.closes_at)
    assert np.count_nonzero(bars.day == FIRST.toordinal()) == 78


def test_a_bar_that_reaches_over_the_close_is_closed_with_the_session() -> None:
    (half,) = CALENDAR.sessions(HALF_DAY, HALF_DAY)
    rows = quiet_rows([half], Timeframe.HOUR)
    bars, seen, _ = good_bars("SPY", rows, [half], Timeframe.HOUR)
    assert seen == len(bars) == 4
    assert from_ns(bars.ts[0]) < half.opens_at  # the hour in which it opens counts
    assert (bars.closes_at <= bars.ends).all()
    late = RawRows.of(rows.ts + 1_800_000_000_000, rows.values)  # stamped at half past
    bars, _, _ = good_bars("SPY", late, [half], Timeframe.HOUR)
    assert bars.closes_at.tolist()[-1] == to_ns(half.closes_at)
    assert bars.closes_at[-1] - bars.ts[-1] == 1_800_000_000_000


def test_a_day_bar_closes_with_its_session_wherever_it_is_stamped() -> None:
    (half,) = CALENDAR.sessions(HALF_DAY, HALF_DAY)
    midnight = np.array([to_ns(half.opens_at.replace(hour=4, minute=0))])
    rows = RawRows.of(midnight, np.array([[100.0], [101.0], [99.0], [100.5], [1e6]]))
    bars, seen, _ = good_bars("SPY", rows, [half], Timeframe.DAY)
    assert seen == 1
    assert bars.closes_at.tolist() == [to_ns(half.closes_at)]
    assert bars.day.tolist() == [HALF_DAY.toordinal()]


def test_copies_count_once_and_contradictions_not_at_all(tmp_path: Path) -> None:
    rows = quiet_rows(DAYS, FIVE)
    twice = rows.take(np.array([*range(len(rows)), 7, 7, 20]))
    contradicted = altered(twice, {(len(twice) - 1, 3): 100.004})
    run = load(file_of(tmp_path, contradicted))
    assert run.rows == len(rows) + 3
    assert run.set_aside == {"duplicate": 2, "conflicting_duplicate": 2}
    kept = [row for row in range(len(rows)) if row != 20]
    assert run.bars["SPY"].ts.tolist() == rows.ts[kept].tolist()


def test_no_volume_is_none_traded_and_said(tmp_path: Path) -> None:
    rows = altered(quiet_rows(DAYS, FIVE), {(3, 4): np.nan, (4, 4): 0.0})
    run = load(file_of(tmp_path, rows))
    assert run.set_aside == {"zero_volume": 2}
    assert run.bars["SPY"].volume[:6].tolist() == [1000.0, 1000.0, 1000.0, 0.0, 0.0, 1000.0]
    assert len(run.bars["SPY"]) == run.rows == len(rows)


def test_what_was_set_aside_is_counted_by_reason_over_all_symbols(tmp_path: Path) -> None:
    rows = quiet_rows(DAYS, FIVE)
    one = altered(rows, {(2, 0): np.nan, (5, 1): 50.0, (8, 3): -1.0})
    two = altered(rows, {(2, 3): np.inf, (9, 4): -5.0, (11, 4): 0.0})
    path = write_csv(tmp_path / "two.csv", lines_of("AAA", one) + lines_of("BBB", two))
    run = load(path)
    assert run.set_aside == {
        "high_below_low": 1,
        "negative_volume": 1,
        "non_positive_price": 1,
        "not_a_number": 2,
        "zero_volume": 1,
    }
    assert list(run.set_aside) == sorted(run.set_aside)
    assert run.rows == 2 * len(rows)
    assert len(run.bars["AAA"]) == len(rows) - 3
    assert len(run.bars["BBB"]) == len(rows) - 2  # the remark costs no row
    assert run.bars["AAA"].ts.tolist() == np.delete(rows.ts, [2, 5, 8]).tolist()


def test_symbols_stand_in_order_beside_each_other(tmp_path: Path) -> None:
    rows = quiet_rows(DAYS, FIVE)
    run = load(write_csv(tmp_path / "x.csv", lines_of("ZZZ", rows) + lines_of("AAA", rows)))
    assert list(run.bars) == ["AAA", "ZZZ"]
    assert [list(bars.others) for bars in run.bars.values()] == [["ZZZ"], ["AAA"]]
    assert list(load(tmp_path / "x.csv", symbols=["ZZZ"]).bars) == ["ZZZ"]


def test_some_sessions_warm_up_a_run_of_minutes(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    first = DAYS[7].day
    run = load(path, first=first, last=DAYS[8].day)
    bars = run.bars["SPY"]
    assert np.unique(bars.day).tolist() == [
        session.day.toordinal() for session in DAYS[7 - WARM_UP_SESSIONS : 9]
    ]
    assert (run.first, run.last) == (first, DAYS[8].day)
    assert span(run.bars) == (DAYS[2].day, DAYS[8].day)


def test_what_a_file_does_not_have_warms_nothing_up(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    second = load(path, first=DAYS[1].day)
    assert span(second.bars) == (DAYS[0].day, LAST)
    assert span(load(path).bars) == (FIRST, LAST)
    early = load(path, first=date(2024, 1, 2))
    assert early.first == date(2024, 1, 2)
    assert table_of(early) == table_of(load(path))


def test_day_bars_warm_up_on_all_that_came_before(tmp_path: Path) -> None:
    """An average of 200 days has to come from somewhere, and day bars are few."""
    rows = of_days(date(2024, 1, 2), LAST, Timeframe.DAY)
    path = file_of(tmp_path, rows)
    run = load(path, first=DAYS[7].day)
    assert run.timeframe is Timeframe.DAY
    assert len(run.bars["SPY"]) == len(rows)
    assert run.first == DAYS[7].day
    assert len(load(path, last=DAYS[7].day).bars["SPY"]) == len(rows) - 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"symbols": ["SPX"]}, "has no symbol SPX; the nearest it has: SPY"),
        ({"symbols": ["SPY", "QQQ"]}, "has no symbol QQQ"),
        ({"source": "elsewhere"}, "SPY has no source elsewhere"),
        ({"first": LAST, "last": FIRST}, "SPY has no rows from 2024-07-05 to 2024-06-24"),
        ({"first": date(2025, 1, 2)}, "SPY has no rows from 2025-01-02 to the end"),
        ({"last": date(2020, 1, 2)}, "SPY has no rows from the start to 2020-01-02"),
    ],
)
def test_a_question_that_a_file_cannot_answer_is_refused_in_a_sentence(
    tmp_path: Path, asked: dict[str, Any], said: str
) -> None:
    path = file_of(tmp_path)
    with pytest.raises(BadInput, match=said) as caught:
        load(path, **asked)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"symbols": ["SPX"]}, "has no bars of SPX; it has SPY 5m"),
        ({"timeframe": Timeframe.DAY}, "has no bars of any symbol; it has SPY 5m"),
        ({"first": LAST, "last": FIRST}, "has no bars of SPY from 2024-07-05 to 2024-06-24"),
    ],
)
def test_a_question_that_a_store_cannot_answer_is_refused_in_a_sentence(
    tmp_path: Path, asked: dict[str, Any], said: str
) -> None:
    store = store_of(tmp_path, {RAW: [(quiet_rows(DAYS, FIVE), FIVE)]})
    with pytest.raises(BadInput, match=said) as caught:
        load(store, **asked)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", ["broken", "by night"])
def test_a_file_without_a_good_bar_is_refused_in_a_sentence(tmp_path: Path, fault: str) -> None:
    good = quiet_rows(DAYS, FIVE)
    bad = RawRows.of(good.ts, np.full_like(good.values, -1.0))
    if fault == "by night":
        bad = RawRows.of(good.ts + 12 * 3_600_000_000_000, good.values)
    path = write_csv(tmp_path / "x.csv", lines_of("BAD", bad) + lines_of("GOOD", good))
    with pytest.raises(BadInput, match=f"has {len(bad)} rows of BAD and no good bar") as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "from 2024-06-24 to 2024-07-0" in str(caught.value)
    assert list(load(path, symbols=["GOOD"]).bars) == ["GOOD"]


def test_a_store_gives_its_shortest_bars_and_a_file_none(tmp_path: Path) -> None:
    lengths = (Timeframe.MINUTES_15, Timeframe.MINUTE, FIVE)
    store = store_of(tmp_path, {RAW: [(quiet_rows(DAYS, each), each) for each in lengths]})
    run = load(store, timeframe=Timeframe.MINUTES_15, first=DAYS[6].day, last=DAYS[8].day)
    finer = load_finer(store, run, CALENDAR)
    assert list(finer) == ["SPY"]
    assert np.unique(finer["SPY"].day).tolist() == [day.day.toordinal() for day in DAYS[6:9]]
    assert set((finer["SPY"].closes_at - finer["SPY"].ts).tolist()) == {60_000_000_000}
    assert len(finer["SPY"]) == 390 + 390 + 210
    assert run.finer == {}
    shortest = load(store, timeframe=Timeframe.MINUTE)
    assert load_finer(store, shortest, CALENDAR) == {}
    path = file_of(tmp_path, quiet_rows(DAYS, Timeframe.MINUTES_15))
    assert load_finer(path, load(path), CALENDAR) == {}


def test_finer_bars_of_other_symbols_are_nothing_to_a_run(tmp_path: Path) -> None:
    other = ("QQQ", "vendor", False)
    fine, coarse = (quiet_rows(DAYS, each) for each in (Timeframe.MINUTE, FIVE))
    store = store_of(
        tmp_path, {RAW: [(coarse, FIVE)], other: [(coarse, FIVE), (fine, Timeframe.MINUTE)]}
    )
    assert load_finer(store, load(store, symbols=["SPY"], timeframe=FIVE), CALENDAR) == {}
    both = load(store, timeframe=FIVE)
    assert list(load_finer(store, both, CALENDAR)) == ["QQQ"]


def test_the_shortest_bars_of_other_days_do_not_hide_those_of_the_run(tmp_path: Path) -> None:
    elsewhere = of_days(date(2024, 3, 4), date(2024, 3, 6), Timeframe.MINUTE)
    quarters = quiet_rows(DAYS, Timeframe.MINUTES_15)
    kinds = [(quarters, Timeframe.MINUTES_15), (quiet_rows(DAYS, FIVE), FIVE)]
    store = store_of(tmp_path, {RAW: [*kinds, (elsewhere, Timeframe.MINUTE)]})
    run = load(store, timeframe=Timeframe.MINUTES_15)
    finer = load_finer(store, run, CALENDAR)
    assert set((finer["SPY"].closes_at - finer["SPY"].ts).tolist()) == {300_000_000_000}


def test_finer_bars_on_another_scale_decide_nothing(tmp_path: Path) -> None:
    """Levels of adjusted prices mean nothing among raw ones, nor the other way round."""
    quarters, fives = quiet_rows(DAYS, Timeframe.MINUTES_15), quiet_rows(DAYS, FIVE)
    for number, (key, finer_key) in enumerate([(RAW, ADJUSTED), (ADJUSTED, RAW)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        store = store_of(
            folder, {key: [(quarters, Timeframe.MINUTES_15)], finer_key: [(fives, FIVE)]}
        )
        run = load(store, timeframe=Timeframe.MINUTES_15)
        assert load_finer(store, run, CALENDAR) == {}


def test_the_digest_is_of_what_is_used_and_not_of_the_file(tmp_path: Path) -> None:
    rows = quiet_rows(DAYS, FIVE)
    bad = altered(rows.take(np.array([*range(len(rows)), 5])), {(len(rows), 0): -1.0})
    plain = load(file_of(tmp_path, rows))
    parquet = load(write_parquet(tmp_path / "x.parquet", {RAW: rows}))
    assert plain.digest == parquet.digest == digest_of(plain.bars)
    assert load(file_of(tmp_path, bad, name="y.csv")).digest == plain.digest
    assert load(file_of(tmp_path, rows, name="z.csv"), last=DAYS[5].day).digest != plain.digest


def test_adjusted_prices_take_no_actions(tmp_path: Path) -> None:
    rows = quiet_rows(DAYS, FIVE)
    path = write_parquet(tmp_path / "x.parquet", {ADJUSTED: rows, ("QQQ", "vendor", False): rows})
    lines = factors(tmp_path).read_text() + factors(tmp_path, "QQQ").read_text()[len(HEAD) + 1 :]
    actions = tmp_path / "both.csv"
    actions.write_text(lines)
    run = load(path, actions_path=actions)
    assert run.adjusted == {"SPY"}
    assert [action.symbol for action in run.actions] == ["QQQ"]


def test_raw_prices_take_the_split_that_explains_their_jump(tmp_path: Path) -> None:
    rows = quiet_rows(DAYS, FIVE)
    later = rows.ts >= to_ns(_session(date(2024, 6, 27)).opens_at)
    values = rows.values.copy()
    values[:4, later] = np.round(values[:4, later] / 2, 2)
    path = file_of(tmp_path, RawRows.of(rows.ts, values))
    told = load(path, actions_path=factors(tmp_path))
    assert [(each.kind, each.ratio, each.ex_date) for each in told.actions] == [
        (ActionKind.SPLIT, Decimal(2), date(2024, 6, 27))
    ]
    assert len(told.bars["SPY"]) == len(rows)
    assert told.adjusted == frozenset()
    untold = load(path)
    assert untold.set_aside == {"unexplained_jump": np.count_nonzero(later)}


def test_a_store_brings_its_own_actions(tmp_path: Path) -> None:
    store = store_of(tmp_path, {RAW: [(quiet_rows(DAYS, FIVE), FIVE)]})
    assert load(store).actions == ()
    (store / "actions.csv").write_bytes(factors(tmp_path).read_bytes())
    assert [action.ex_date for action in load(store).actions] == [date(2024, 6, 27)]
    other = load(store, actions_path=factors(tmp_path, "QQQ"))  # the file named goes first
    assert other.actions == ()


def test_a_run_says_where_its_bars_came_from(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", {RAW: quiet_rows(DAYS, FIVE)})
    assert load(path).source == "x.parquet"
    assert load(path, source="vendor").source == "x.parquet (vendor)"


def test_the_span_is_that_of_all_symbols() -> None:
    early, late = walked(DAYS[:3], FIVE), walked(DAYS[2:6], FIVE)
    assert span({"AAA": late, "BBB": early}) == (DAYS[0].day, DAYS[5].day)
    assert span({"AAA": late, "BBB": early.rows(slice(0, 0))}) == (DAYS[2].day, DAYS[5].day)


def _session(day: date) -> Session:
    (found,) = CALENDAR.sessions(day, day)
    return found
