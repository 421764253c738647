"""Settings as the values that the core works with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, Final

from roboinvest.core.approvals import InboxRules
from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.fills import FillRules
from roboinvest.core.mandate import Mandate, MandateTerms
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.core.risk import RiskLimits, narrowed
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.sections import BrokerKind
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.llm.spend.caps import SpendCaps
from roboinvest.runtime.supervision.restarts import RestartLimits

EXCHANGE_ZONE: Final = "America/New_York"
EXCHANGE_HOURS: Final = (time(9, 30), time(16, 0))


def clock_of(settings: Settings) -> SystemClock:
    """Return the clock that everything of this installation goes by."""
    clock = settings.clock
    return SystemClock(timedelta(seconds=clock.offset_s), rate=clock.rate, anchor=clock.anchor)


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


def risk_limits(
    settings: Settings, bar_length: timedelta, mandate: Mandate | None = None
) -> RiskLimits:
    """Return the hard limits, narrowed by the mandate; those counted in bars become times."""
    risk = settings.risk
    limits = RiskLimits(
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
        live=is_live(settings),
    )
    return narrowed(limits, mandate)


def is_live(settings: Settings) -> bool:
    """Return whether orders move real money."""
    return settings.broker.kind is BrokerKind.ALPACA and settings.alpaca.live


def protection_rules(settings: Settings, bar_length: timedelta) -> ProtectionRules:
    """Return when losses lock entries; what is counted in bars or minutes becomes times."""
    rules = settings.protections
    return ProtectionRules(
        stop_guard_stops=rules.stop_guard_stops,
        stop_guard_window=timedelta(minutes=rules.stop_guard_window_min),
        stop_guard_lock=timedelta(minutes=rules.stop_guard_lock_min),
        stop_guard_per_symbol=rules.stop_guard_scope == "symbol",
        drawdown_frac=rules.drawdown_frac,
        drawdown_trades=rules.drawdown_trades,
        drawdown_window=timedelta(minutes=rules.drawdown_window_min),
        drawdown_lock=timedelta(minutes=rules.drawdown_lock_min),
        low_profit_trades=rules.low_profit_trades,
        low_profit_usd=rules.low_profit_usd,
        low_profit_window=timedelta(minutes=rules.low_profit_window_min),
        low_profit_lock=timedelta(minutes=rules.low_profit_lock_min),
        cooldown=settings.risk.cooldown_bars * bar_length,
    )


def mandate_terms(settings: Settings, expires_at: datetime) -> MandateTerms:
    """Return the terms that allow what the settings allow now, for an owner to begin with.

    Amounts in USD are those of the starting cash; an order is never larger than a position.
    """
    risk, cash = settings.risk, settings.broker.starting_cash_usd
    position_frac = min(risk.max_position_frac, risk.max_gross_frac)
    loss_frac = min(risk.max_daily_loss_frac, risk.max_drawdown_frac)
    return MandateTerms(
        universe=tuple(sorted(set(settings.market.symbols))) or None,
        allow_short=risk.allow_short,
        max_order_usd=min(risk.max_order_usd, position_frac * cash),
        max_position_usd=position_frac * cash,
        max_position_frac=position_frac,
        max_gross_frac=risk.max_gross_frac,
        max_daily_loss_usd=loss_frac * cash,
        max_daily_loss_frac=loss_frac,
        max_drawdown_frac=risk.max_drawdown_frac,
        max_trades_per_day=risk.max_trades_per_day,
        entries_from=EXCHANGE_HOURS[0],
        entries_until=EXCHANGE_HOURS[1],
        timezone=EXCHANGE_ZONE,
        expires_at=expires_at,
    )


def budget_policy(settings: Settings) -> BudgetPolicy:
    """Return how far the day's language-model cap may move."""
    llm = settings.llm
    return BudgetPolicy(
        start_usd=llm.day_cap_usd, floor_usd=llm.floor_usd, ceiling_usd=llm.ceiling_usd
    )


def spend_caps(settings: Settings) -> SpendCaps:
    """Return what language models may cost; the day's cap begins where the settings say."""
    llm = settings.llm
    return SpendCaps(
        day_usd=llm.day_cap_usd,
        day_ceiling_usd=llm.ceiling_usd,
        call_usd=llm.call_cap_usd,
        iteration_usd=llm.iteration_cap_usd,
        agent_day_usd=llm.agent_day_cap_usd,
        month_usd=llm.month_cap_usd,
    )


def inbox_rules(settings: Settings) -> InboxRules:
    """Return the figures by which the inbox says no."""
    rules = settings.governance
    return InboxRules(
        max_open=rules.max_open,
        max_a_day=rules.max_a_day,
        max_open_of_all=rules.max_open_of_all,
        approval_lasts=timedelta(hours=rules.approval_hours),
        veto_time=timedelta(hours=rules.veto_hours),
        longest_life=timedelta(days=rules.proposal_days),
        rejected_rests=timedelta(days=rules.rejected_days),
        two_persons=frozenset(rules.two_persons),
    )


def governor_limits(settings: Settings) -> GovernorLimits:
    """Return how often, and in which direction, an agent may change."""
    rules = settings.governance
    return GovernorLimits(
        promotions=rules.promotions_a_day,
        recent=rules.no_return_to,
        rising=rules.rising_findings,
        rejects=rules.rejects,
        storm_frac=rules.storm_frac,
        storm_agents=rules.storm_agents,
        is_on=rules.governor == "on",
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
