"""The simulated market: sane bars, the same again, lively in the ways of a real one, and causal."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng
from numpy.typing import NDArray

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import from_ns, to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe, Trend, Volatility
from roboinvest.core.quant.sentiment import score
from tests.fakes.markets import session
from tools.simulation import prices
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings
from tools.simulation.news import MARKET, SimulatedItem, Subject, draw_items

REPOSITORY = Path(__file__).resolve().parents[3]
FIRST = date(2024, 1, 2)
HALF_DAY = date(2024, 1, 10)
HOLIDAY = date(2024, 1, 15)
SYMBOLS = ("ALFA", "BRAVO", "CHARLIE", "SPY")
SEED = 20240102
Floats = NDArray[np.float64]


class Weekdays:
    """A calendar of every weekday, with one half day and one holiday."""

    def sessions(self, first: date, last: date) -> Sequence[Session]:
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        return [
            session(day, half_day=day == HALF_DAY)
            for day in days
            if day.weekday() < 5 and day != HOLIDAY
        ]


def market(seed: int = SEED, symbols: tuple[str, ...] = SYMBOLS) -> SimulatedMarket:
    return SimulatedMarket(
        SimulatedMarketSettings(seed=seed, symbols=symbols, first=FIRST), Weekdays()
    )


def first_sessions(n: int) -> list[Session]:
    return list(Weekdays().sessions(FIRST, FIRST + timedelta(days=2 * n + 7)))[:n]


async def draw(world: SimulatedMarket, sessions: Sequence[Session]) -> list[Mapping[str, RawRows]]:
    return [await world.session_rows(each) for each in sessions]


def digest(sessions: Sequence[Mapping[str, RawRows]]) -> str:
    """Return one name for bars that are the same to the last bit."""
    seen = hashlib.sha256()
    for rows in sessions:
        for symbol in sorted(rows):
            seen.update(symbol.encode() + rows[symbol].ts.tobytes() + rows[symbol].values.tobytes())
    return seen.hexdigest()


@pytest.fixture(scope="module")
def sixty() -> list[Mapping[str, RawRows]]:
    """Return sixty sessions of the default world."""
    return asyncio.run(draw(market(), first_sessions(60)))


def full_days(sessions: Sequence[Mapping[str, RawRows]], symbol: str, row: int) -> Floats:
    """Return one field of the complete full sessions, shape (days, 390)."""
    kept = [rows[symbol].values[row] for rows in sessions if len(rows[symbol]) == 390]
    assert len(kept) > 40
    return np.array(kept)


def correlation(values: Floats, lag: int = 1) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


# -- bars ---------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**63),
    symbol=st.text(min_size=1, max_size=6).filter(lambda name: name not in (MARKET, "SPY")),
)
def test_every_bar_of_every_world_is_possible(seed: int, symbol: str) -> None:
    world = market(seed, (symbol, "SPY"))
    for rows in asyncio.run(draw(world, first_sessions(3))):
        for name in world.symbols:
            assert_possible(rows[name])


def assert_possible(rows: RawRows) -> None:
    opened, high, low, close, volume = rows.values
    assert (low <= np.minimum(opened, close)).all()
    assert (high >= np.maximum(opened, close)).all()
    assert (low >= prices.MIN_PRICE).all()
    assert (volume >= 0).all()
    assert (volume == np.rint(volume)).all()
    paid = rows.values[:4]
    assert (paid == np.rint(paid * 100) / 100).all()
    assert not rows.unreadable.any()


async def test_bars_open_on_every_minute_of_the_session_but_a_few() -> None:
    sessions = first_sessions(40)
    for each, rows in zip(sessions, await draw(market(), sessions), strict=True):
        minutes = (each.closes_at - each.opens_at) // timedelta(minutes=1)
        for bars in rows.values():
            assert from_ns(bars.ts[0]) == each.opens_at
            assert from_ns(bars.ts[-1]) == each.closes_at - timedelta(minutes=1)
            assert (np.diff(bars.ts) % 60_000_000_000 == 0).all()
            assert minutes - 4 <= len(bars) <= minutes


async def test_a_half_day_is_half_as_long_and_a_holiday_has_no_bars() -> None:
    world = market()
    rows = await world.session_rows(session(HALF_DAY, half_day=True))
    assert all(206 <= len(bars) <= 210 for bars in rows.values())
    with pytest.raises(BadInput, match="2024-01-15 is no session"):
        await world.session_rows(session(HOLIDAY))


def test_thin_minutes_happen_now_and_then(sixty: list[Mapping[str, RawRows]]) -> None:
    short = [b for rows in sixty for b in rows.values() if len(b) not in (390, 210)]
    silent = [b for rows in sixty for b in rows.values() if (b.values[4] == 0).any()]
    assert 1 <= len(short) <= 40
    assert 1 <= len(silent) <= 40
    for bars in silent:
        quiet = bars.values[4] == 0
        assert (bars.values[:4, quiet] == bars.values[3, quiet]).all()


def test_a_session_opens_near_the_last_close_and_not_on_it(
    sixty: list[Mapping[str, RawRows]],
) -> None:
    for symbol in SYMBOLS:
        closes = np.array([rows[symbol].values[3, -1] for rows in sixty])
        opens = np.array([rows[symbol].values[0, 0] for rows in sixty])
        gaps = np.log(opens[1:] / closes[:-1])
        assert 0.001 < gaps.std() < 0.03
        assert np.abs(gaps).max() < 0.15


def test_nothing_falls_below_a_dollar_however_long_it_falls() -> None:
    share = prices.Profile(symbol="X", price=1.2, beta=1.0, volatility=0.01, volume=100.0)
    rng = default_rng(1)
    crash = prices.Mood(drift=-3.0, volatility=0.01, momentum=0.0, reversion=0.0)
    path = prices.factor(crash, 0.0, 390, [], rng)
    bars = prices.candles(share, prices.SymbolState(close=1.2, heat=0.0), path, path, rng)
    assert bars.low.min() == prices.MIN_PRICE == bars.close[-1]


# -- the same again -----------------------------------------------------------------------------


async def test_the_order_of_the_questions_changes_nothing(
    sixty: list[Mapping[str, RawRows]],
) -> None:
    world, sessions = market(), first_sessions(60)
    late = await world.session_rows(sessions[59])
    await world.published(sessions[3].opens_at, sessions[30].closes_at)
    early = await world.session_rows(sessions[2])
    assert digest([late]) == digest([sixty[59]])
    assert digest([early]) == digest([sixty[2]])


async def test_askers_at_the_same_time_see_one_world(sixty: list[Mapping[str, RawRows]]) -> None:
    world, sessions = market(), first_sessions(20)
    found = await asyncio.gather(*(world.session_rows(each) for each in reversed(sessions)))
    assert digest(list(reversed(found))) == digest(sixty[:20])


async def test_another_symbol_changes_no_bar_and_no_headline_of_the_others(
    sixty: list[Mapping[str, RawRows]],
) -> None:
    sessions = first_sessions(10)
    more, fewer = market(symbols=(*SYMBOLS, "AARD", "ZULU")), market(symbols=SYMBOLS)
    rows = await draw(more, sessions)
    assert digest([{s: r[s] for s in SYMBOLS} for r in rows]) == digest(sixty[:10])
    span = sessions[0].opens_at - timedelta(days=1), sessions[-1].closes_at
    own = {i.item_id: i for i in await more.published(*span) if i.symbols == ("ALFA",)}
    assert own
    assert own == {i.item_id: i for i in await fewer.published(*span) if i.symbols == ("ALFA",)}


async def test_another_seed_is_another_world(sixty: list[Mapping[str, RawRows]]) -> None:
    other = await draw(market(SEED + 1), first_sessions(1))
    for symbol in SYMBOLS:
        assert not np.array_equal(other[0][symbol].values[3], sixty[0][symbol].values[3])


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_sees_the_same_bars(
    sixty: list[Mapping[str, RawRows]], hash_seed: str
) -> None:
    script = (
        "import asyncio\n"
        "from tests.tools.simulation.test_market import digest, draw, first_sessions, market\n"
        "print(digest(asyncio.run(draw(market(), first_sessions(5)))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == digest(sixty[:5])


# -- lively as a real one -----------------------------------------------------------------------


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_volume_makes_a_u(sixty: list[Mapping[str, RawRows]], symbol: str) -> None:
    volume = full_days(sixty, symbol, 4).mean(axis=0)
    noon = volume[165:225].mean()
    assert volume[:15].mean() > 2.0 * noon
    assert volume[-15:].mean() > 1.4 * noon


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_open_and_the_close_move_more_than_noon(
    sixty: list[Mapping[str, RawRows]], symbol: str
) -> None:
    moves = np.abs(np.diff(np.log(full_days(sixty, symbol, 3)), axis=1)).mean(axis=0)
    noon = moves[165:225].mean()
    assert moves[:15].mean() > 1.3 * noon
    assert moves[-15:].mean() > 1.15 * noon


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_returns_have_fat_tails_cluster_and_do_not_repeat(
    sixty: list[Mapping[str, RawRows]], symbol: str
) -> None:
    returns = np.diff(np.log(full_days(sixty, symbol, 3)), axis=1)
    flat = returns.ravel()
    kurtosis = float(np.mean((flat - flat.mean()) ** 4) / flat.var() ** 2)
    assert kurtosis > 4.0  # a normal variable has 3
    # Clustering that the U of the day alone does not explain: each minute against its own mean.
    size = np.abs(returns) / np.abs(returns).mean(axis=0)
    clustered = [np.mean([correlation(day, lag) for day in size]) for lag in (1, 10)]
    assert min(clustered) > 0.03
    # Rounding to cents bounces a little, so the floor is lower than the ceiling.
    assert -0.06 < np.mean([correlation(day) for day in returns]) < 0.04


def test_symbols_share_a_market_factor(sixty: list[Mapping[str, RawRows]]) -> None:
    def hourly(symbol: str) -> Floats:
        closes = [rows[symbol].values[3] for rows in sixty]
        return np.array([math.log(c[-1] / c[60]) for c in closes])

    fund = hourly("SPY")
    for symbol in SYMBOLS[:3]:
        assert 0.25 < np.corrcoef(fund, hourly(symbol))[0, 1] < 0.97


async def test_every_regime_is_visited_and_lasts() -> None:
    world, sessions = market(symbols=("SPY",)), first_sessions(400)
    names = [(await world.regime(each)).name for each in sessions]
    assert len(set(names)) == len(Trend) * len(Volatility)
    changes = sum(a != b for a, b in pairwise(names))
    assert 4 < len(names) / changes < 25


async def test_stress_moves_the_market_more() -> None:
    world, sessions = market(symbols=("SPY",)), first_sessions(250)
    by_volatility: dict[Volatility, list[float]] = {v: [] for v in Volatility}
    for each in sessions:
        closes = (await world.session_rows(each))["SPY"].values[3]
        spread = float(np.std(np.diff(np.log(closes))))
        by_volatility[(await world.regime(each)).volatility].append(spread)
    calm, stressed = (np.median(by_volatility[v]) for v in Volatility)
    assert stressed > 1.6 * calm


@pytest.mark.parametrize(
    ("trend", "holds"),
    [(Trend.BULL, lambda ratio: ratio > 1.1), (Trend.RANGE, lambda ratio: ratio < 0.9)],
)
def test_trends_run_on_and_ranges_turn_back(trend: Trend, holds: Callable[[float], bool]) -> None:
    """The variance of an hour against that of its minutes (Lo and MacKinlay 1988)."""
    mood = prices.MOODS[trend, Volatility.CALM]
    moves = np.concatenate(
        [prices.factor(mood, 0.0, 360, [], default_rng(seed)).moves for seed in range(300)]
    )
    hours = moves.reshape(-1, 60).sum(axis=1)
    assert holds(float(hours.var() / moves.var() / 60))


# -- news ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def year() -> tuple[list[Session], list[Mapping[str, RawRows]], list[SimulatedItem]]:
    """Return 200 sessions of eight shares with what every headline really did."""
    names = tuple(f"S{n}" for n in range(8))
    world, sessions = market(symbols=names), first_sessions(200)

    async def both() -> tuple[list[Mapping[str, RawRows]], list[SimulatedItem]]:
        rows = await draw(world, sessions)
        return rows, list(
            await world.truth(datetime(2024, 1, 1, tzinfo=UTC), sessions[-1].closes_at)
        )

    rows, items = asyncio.run(both())
    return sessions, rows, items


def signed_moves(
    year: tuple[list[Session], list[Mapping[str, RawRows]], list[SimulatedItem]],
    start: int,
    end: int,
) -> Floats:
    """Return log returns in the direction of headlines of one share, published in the session.

    They run from `start` to `end`, in bars after the one that was open at publication.
    """
    sessions, rows, items = year
    by_day = {each.day: n for n, each in enumerate(sessions)}
    moves: list[float] = []
    for found in items:
        number = by_day[found.item.published_at.date()]
        if found.direction == 0 or len(found.item.symbols) > 1:
            continue
        bars = rows[number][found.item.symbols[0]]
        at = int(np.searchsorted(bars.ts, to_ns(found.item.published_at), side="right")) - 1
        if at + start < 0 or at < 0 or at + end >= len(bars):
            continue
        closes = bars.values[3]
        moves.append(found.direction * math.log(closes[at + end] / closes[at + start]))
    return np.array(moves)


def t_statistic(values: Floats) -> float:
    return float(values.mean() / (values.std(ddof=1) / math.sqrt(len(values))))


def test_news_moves_prices_its_way_after_publication_and_not_before(
    year: tuple[list[Session], list[Mapping[str, RawRows]], list[SimulatedItem]],
) -> None:
    after, before = signed_moves(year, 0, 30), signed_moves(year, -30, 0)
    assert len(after) > 200
    assert t_statistic(after) > 5.0
    assert 0.001 < after.mean() < 0.006
    assert abs(t_statistic(before)) < 3.0


def test_most_of_a_move_is_in_the_next_price_and_some_comes_late(
    year: tuple[list[Session], list[Mapping[str, RawRows]], list[SimulatedItem]],
) -> None:
    """Whoever reads the headline at the close of its minute has missed nothing and trades late."""
    at_once, late = signed_moves(year, 0, 1).mean(), signed_moves(year, 1, 30).mean()
    assert at_once > late > 0.0


@pytest.mark.parametrize("minute", [1, 57, 389])
def test_a_shock_leaves_every_minute_before_it_as_it_was(minute: int) -> None:
    mood = prices.MOODS[Trend.RANGE, Volatility.CALM]
    shock = prices.Shock(minute=minute, jump=0.01, drift=0.01, overnight=False)
    quiet = prices.factor(mood, 0.0, 390, [], default_rng(5))
    news = prices.factor(mood, 0.0, 390, [shock], default_rng(5))
    assert quiet.gap == news.gap
    for name in ("jumps", "moves", "scale", "stir"):
        calm, moved = getattr(quiet, name), getattr(news, name)
        assert np.array_equal(calm[:minute], moved[:minute])
        assert not np.array_equal(calm[minute:], moved[minute:])


def test_no_item_moves_a_bar_that_was_open_when_it_came_out(
    year: tuple[list[Session], list[Mapping[str, RawRows]], list[SimulatedItem]],
) -> None:
    sessions, _, items = year
    opens = {each.day: each.opens_at for each in sessions}
    moving = [found for found in items if found.shock is not None]
    assert any(found.shock.overnight for found in moving if found.shock)
    for found in moving:
        assert found.shock is not None
        opened = opens[found.item.published_at.date()]
        if found.shock.overnight:
            assert found.item.published_at < opened
        else:
            first_moved = opened + timedelta(minutes=found.shock.minute)
            assert found.item.published_at < first_moved


def test_some_headlines_that_lean_are_noise_and_plain_ones_always_are(
    year: tuple[list[Session], list[Mapping[str, RawRows]], list[SimulatedItem]],
) -> None:
    leaning = [found for found in year[2] if found.direction]
    idle = sum(found.shock is None for found in leaning) / len(leaning)
    assert 0.2 < idle < 0.45
    assert all(found.shock is None for found in year[2] if not found.direction)


@pytest.mark.parametrize("name", ["ALFA", MARKET])
def test_headlines_say_what_they_mean_to_the_scorer(name: str) -> None:
    subject = Subject(name=name, symbols=(name,), price=100.0)
    seen: set[int] = set()
    for seed in range(400):
        for found in draw_items(subject, session(), Trend.RANGE, default_rng(seed)):
            seen.add(found.direction)
            value = score(f"{found.item.headline}; {found.item.summary}")
            lean = 0 if abs(value) < 0.3 else round(math.copysign(1, value))
            assert lean == found.direction, (found.item.headline, value)
    assert seen == {-1, 0, 1}


async def test_items_come_in_order_and_only_from_the_span() -> None:
    world, sessions = market(), first_sessions(30)
    whole = await world.published(sessions[0].opens_at - timedelta(days=1), sessions[-1].closes_at)
    middle = whole[len(whole) // 2].published_at
    assert [(i.published_at, i.item_id) for i in whole] == sorted(
        (i.published_at, i.item_id) for i in whole
    )
    assert len({i.item_id for i in whole}) == len(whole)
    up_to = await market().published(sessions[0].opens_at - timedelta(days=1), middle)
    later = await world.published(middle, sessions[-1].closes_at)
    assert [*up_to, *later] == list(whole)
    assert up_to[-1].published_at == middle
    assert await world.published(middle, middle) == ()


async def test_nothing_happens_before_the_first_day() -> None:
    world = market()
    with pytest.raises(BadInput, match="begins on 2024-01-02"):
        await world.session_rows(session(FIRST - timedelta(days=1)))
    assert not await world.published(
        datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 12, 31, tzinfo=UTC)
    )


@pytest.mark.parametrize("symbols", [(), ("A", "A"), ("A", MARKET)])
def test_a_universe_needs_distinct_names(symbols: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="The universe is"):
        market(symbols=symbols)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(BadInput, match="The seed is -1"):
        market(-1)


def test_it_names_its_universe_in_order_and_its_timeframe() -> None:
    world = market(symbols=("SPY", "ALFA"))
    assert (world.symbols, world.timeframe) == (("ALFA", "SPY"), Timeframe.MINUTE)
