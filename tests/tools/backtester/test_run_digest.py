"""The digest of a run: of everything that decides it, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from roboinvest.core.fills import FillRules
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.risk import RiskLimits
from tests.tools.backtester.asked import DAYS, PAID, SPLIT, pair, request
from tests.tools.backtester.report.builders import strategy, walked
from tools.backtester.contract import Terms
from tools.backtester.engine import run_backtest, run_digest

CHANGES: dict[str, dict[str, Any]] = {
    "bars": {"bars": {"SPY": walked(DAYS, seed=1)}},
    "symbol": {"bars": {"QQQ": walked(DAYS, symbol="QQQ")}},
    "finer": {"finer": {"SPY": walked(DAYS, Timeframe.MINUTE)}},
    "timeframe": {"timeframe": Timeframe.MINUTES_5},
    "first": {"first": DAYS[1].day},
    "actions": {"actions": (SPLIT,)},
    "another ratio": {"actions": (replace(SPLIT, ratio=Decimal(3)),)},
    "name": {"strategy": strategy(name="other")},
    "version": {"strategy": replace(strategy(), version="1.1")},
    "fingerprint": {"strategy": replace(strategy(), fingerprint="abc")},
    "values": {"values": {"minutes": 31}},
    "cash": {"terms": Terms(cash=Decimal(99_999))},
    "slippage": {"terms": Terms(rules=FillRules(slippage_bps=Decimal(6)))},
    "volume": {"terms": Terms(rules=FillRules(volume_share=None))},
    "touch": {"terms": Terms(rules=FillRules(limit_needs_trade_through=False))},
    "commission": {"terms": Terms(rules=FillRules(commission_per_share_usd=Decimal("0.01")))},
    "section 31": {"terms": Terms(rules=FillRules(sec_fee_rate=Decimal(0)))},
    "taf": {"terms": Terms(rules=FillRules(taf_per_share_usd=Decimal(0)))},
    "taf cap": {"terms": Terms(rules=FillRules(taf_cap_usd=Decimal(1)))},
    "shorts": {"terms": Terms(allow_short=True)},
    "limits": {"terms": Terms(limits=RiskLimits())},
    "a limit": {"terms": Terms(limits=RiskLimits(max_trades_per_day=1))},
    "protections": {"terms": Terms(limits=RiskLimits(), protections=ProtectionRules())},
    "a protection": {
        "terms": Terms(
            limits=RiskLimits(), protections=ProtectionRules(cooldown=timedelta(hours=1))
        )
    },
}


def test_the_digest_tells_every_fact_from_every_other() -> None:
    digests = {name: run_digest(request(**changed)) for name, changed in CHANGES.items()}
    digests["nothing"] = run_digest(request())
    same = [name for name in digests if list(digests.values()).count(digests[name]) > 1]
    assert same == []


def test_no_column_of_the_bars_is_left_out_of_the_digest() -> None:
    """The end of a session decides as a price does."""
    bars = walked(DAYS)
    seen = {run_digest(request(bars))}
    names = set(SessionBars.__dataclass_fields__) - {"symbol", "others"}
    for name in names:
        changed: dict[str, Any] = {name: getattr(bars, name) + 1}
        seen.add(run_digest(request(replace(bars, **changed))))
    assert len(seen) == 1 + len(names)


@pytest.mark.parametrize(
    "changed",
    [
        {"source": "another name"},
        {"notes": ("a day is missing",)},
        {"adjusted": frozenset({"SPY"})},
        {"terms": Terms(cash=Decimal("100000.00"))},
        {"terms": Terms(rules=FillRules(slippage_bps=Decimal("5.0")))},
        {"strategy": replace(strategy(), idea="Another reason.", source="elsewhere")},
    ],
    ids=lambda changed: str(next(iter(changed))),
)
def test_the_digest_does_not_tell_what_decides_nothing(changed: dict[str, Any]) -> None:
    assert run_digest(request(**changed)) == run_digest(request())


def test_equal_figures_are_equal_however_they_are_written() -> None:
    first, second = (
        Terms(
            limits=RiskLimits(max_drawdown_frac=Decimal(frac)),
            protections=ProtectionRules(drawdown_frac=Decimal(frac)),
        )
        for frac in ("0.1", "0.100")
    )
    assert first == second
    assert run_digest(request(terms=first)) == run_digest(request(terms=second))


def test_the_order_of_symbols_and_of_actions_is_no_fact() -> None:
    bars = pair(AAA=walked(DAYS), BBB=walked(DAYS, seed=2))
    turned = dict(reversed(list(bars.items())))
    forth = request(bars=bars, actions=(SPLIT, PAID))
    back = request(bars=turned, actions=[PAID, SPLIT])
    assert run_digest(forth) == run_digest(back)


def test_equal_requests_give_equal_results() -> None:
    one, two = run_backtest(request()), run_backtest(request())
    assert one.digest == two.digest == run_digest(request())
    assert one.played.fills == two.played.fills
    assert one.daily_equity.tolist() == two.daily_equity.tolist()
    assert (one.figures, one.round_trips) == (two.figures, two.round_trips)
