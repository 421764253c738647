"""Ten recorded sessions of SPY minutes: the expert trades now and then, and the same every time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from roboinvest.core.market.bars import BarColumns, BarSeries, from_ns
from roboinvest.core.market.sessions import Session
from roboinvest.core.orders import Action
from roboinvest.core.quant.expert import StrategyInputs, View, advise
from roboinvest.core.quant.observation import LOOKBACK, observe
from tests.fakes.windows import brief

NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE = time(9, 30), time(16)
SESSIONS = 10


def session_of(day: date) -> Session:
    opens_at, closes_at = (
        datetime.combine(day, at, tzinfo=NEW_YORK).astimezone(UTC) for at in (OPEN, CLOSE)
    )
    return Session(day=day, opens_at=opens_at, closes_at=closes_at, is_half_day=False)


@pytest.fixture(scope="module")
def spy(data_pack: Path) -> BarColumns:
    """Read the regular hours of the first sessions of 2011."""
    table = pq.read_table(
        data_pack / "bars" / "minute_equity.parquet",
        filters=[("symbol", "==", "SPY"), ("source", "==", "pyalgotrade-ninjatrader")],
    )
    ts = table["ts"].cast("int64").to_numpy()
    days = np.array([from_ns(t).astimezone(NEW_YORK).date().toordinal() for t in ts])
    times = np.array([from_ns(t).astimezone(NEW_YORK).time() for t in ts])
    regular = (times >= OPEN) & (times < CLOSE) & (days < np.unique(days)[SESSIONS])
    floats = {
        name: table[name].to_numpy().astype(np.float64)[regular]
        for name in ("open", "high", "low", "close", "volume")
    }
    columns = BarColumns("SPY")
    columns.extend(
        BarSeries(
            symbol="SPY",
            ts=ts[regular],
            closes_at=ts[regular] + 60_000_000_000,
            day=days[regular],
            **floats,
        )
    )
    return columns


def views_of(columns: BarColumns) -> list[View]:
    """Walk the bars with a book that fills at the next open and keeps its brackets."""
    views: list[View] = []
    bought: View | None = None
    held, since_exit, leaving = -1, 99, False
    for end in range(1, len(columns) + 1):
        window = columns.window(end, LOOKBACK)
        session = session_of(date.fromordinal(int(window.day[-1])))
        at = from_ns(window.closes_at[-1])
        bar = window.bar(-1)
        if bought is not None:
            held += 1
            assert bought.stop is not None
            assert bought.target is not None
            if leaving or bar.low <= bought.stop or bar.high >= bought.target:
                bought, held, since_exit, leaving = None, -1, 0, False
        observation = observe(window, at=at, session=session, vix=None)
        asked = brief(
            observation,
            held="0" if bought is None else "1",
            bars_held=max(held, 0),
            time_left_min=session.time_left(at) / timedelta(minutes=1),
            cooling_down=since_exit < 10,
        )
        (view,) = advise(StrategyInputs(at=at, agent_id="house", briefs=(asked,))).views
        views.append(view)
        since_exit += 1
        if view.action is Action.BUY:
            bought = view
        leaving = leaving or view.action is Action.SELL
    return views


@pytest.fixture(scope="module")
def views(spy: BarColumns) -> list[View]:
    return views_of(spy)


def test_ten_sessions_bring_more_than_five_and_fewer_than_sixty_purchases(
    views: list[View],
) -> None:
    bought = [v for v in views if v.action is Action.BUY]
    assert len(views) == SESSIONS * 390
    assert 5 < len(bought) < 60


def test_every_view_accounts_for_itself(views: list[View]) -> None:
    for view in views:
        assert view.summary.startswith(f"{view.action} SPY: ")
        assert sum(r.weight for r in view.reasons) == pytest.approx(1.0, abs=1e-9)
        assert (view.stop is None) == (view.target is None)
        assert view.is_candidate <= (view.stop is not None)
        if view.action is Action.BUY:
            assert view.stop is not None
            assert Decimal(repr(view.conviction)) >= Decimal("0.25")


def test_nothing_is_held_into_the_night(views: list[View]) -> None:
    for close in range(390, len(views) + 1, 390):
        last = views[close - 31 : close]
        assert all(v.action is not Action.BUY for v in last)
        assert all("kept" not in v.summary for v in last[-5:])
