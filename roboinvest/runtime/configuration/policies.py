"""Settings as the values that the core works with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.fills import FillRules
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.supervision.restarts import RestartLimits


def fill_rules(settings: Settings) -> FillRules:
    """Return what trading on the paper broker costs."""
    broker = settings.broker
    return FillRules(
        slippage_bps=broker.slippage_bps,
        volume_share=broker.volume_share,
        commission_per_share_usd=broker.commission_per_share_usd,
        sec_fee_rate=broker.sec_fee_rate,
        taf_per_share_usd=broker.taf_per_share_usd,
    )


def risk_limits(settings: Settings, bar_length: timedelta) -> RiskLimits:
    """Return the hard limits; those counted in bars become times."""
    risk = settings.risk
    return RiskLimits(
        allow_short=risk.allow_short,
        risk_per_trade_frac=risk.risk_per_trade_frac,
        max_order_usd=risk.max_order_usd,
        max_position_frac=risk.max_position_frac,
        max_gross_frac=risk.max_gross_frac,
        max_daily_loss_frac=risk.max_daily_loss_frac,
        max_drawdown_frac=risk.max_drawdown_frac,
        max_trades_per_day=risk.max_trades_per_day,
        max_open_orders=risk.max_open_orders,
        stale_after=risk.stale_after_bars * bar_length,
        price_collar_frac=risk.price_collar_frac,
        no_entry_last=timedelta(minutes=risk.no_entry_last_min),
    )


def budget_policy(settings: Settings) -> BudgetPolicy:
    """Return how far the day's language-model cap may move."""
    llm = settings.llm
    return BudgetPolicy(
        start_usd=llm.day_cap_usd, floor_usd=llm.floor_usd, ceiling_usd=llm.ceiling_usd
    )


def restart_limits(settings: Settings) -> RestartLimits:
    """Return how patient the supervisor is."""
    supervisor = settings.supervisor
    return RestartLimits(
        max_restarts=supervisor.max_restarts,
        within_s=supervisor.within_s,
        backoff_first_s=supervisor.backoff_first_s,
        backoff_max_s=supervisor.backoff_max_s,
    )


def instance_of(stamp: Mapping[str, Any]) -> str:
    """Return the short name of a run, the same wherever its data folder lies.

    It goes into every client order id, so that equal runs send equal ids.
    """
    text = json.dumps(stamp, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:6]
