"""The language-model budget follows the trading result, between a floor and a ceiling.

Good months may think more, bad months think less. The cap moves once a session, at its first tick:
it is halved after a session that lost, and raised after one that gained, if recent trades say that
this was no accident; a bad day also cuts that same day's cap. Spending is counted elsewhere: this
is only the arithmetic of the cap, and every move carries its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from roboinvest.core.orders import cents


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPolicy:
    """How far and how fast the day's cap may move; only a person changes these."""

    start_usd: Decimal = Decimal("0.10")
    floor_usd: Decimal = Decimal("0.02")
    ceiling_usd: Decimal = Decimal("1.00")
    step_usd: Decimal = Decimal("0.20")  # the most it rises at once
    gain: Decimal = Decimal("0.003")  # USD of cap for one USD of profit
    min_trades: int = 10  # closed trades before results count
    halve_loss_usd: Decimal = Decimal(10)  # a session that lost more halves it
    min_win_rate: float = 0.6  # of recent trades, to rise
    min_confidence: float = 0.6  # mean of recent entries, to rise
    day_loss_cut_frac: Decimal = Decimal("0.01")  # a day this bad takes its cap to the floor


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFacts:
    """The result the cap is judged by."""

    session_pnl: Decimal  # USD of the session before, realised and open
    closed_trades: int  # since the start
    win_rate: float | None  # of recent trades; None before the first
    mean_confidence: float | None  # of recent entries; None before the first
    day_return_frac: Decimal  # today's equity against the day's start, minus one


@dataclass(frozen=True, slots=True, kw_only=True)
class CapMove:
    """A change of the day's cap, or the reason why it stayed."""

    before: Decimal  # USD a day
    after: Decimal
    reason: str


def cap_for_session(cap: Decimal, facts: BudgetFacts, policy: BudgetPolicy) -> CapMove:
    """Return the cap of a new session, from the result of the one before."""
    if facts.closed_trades < policy.min_trades:
        reason = f"{facts.closed_trades} closed trades, {policy.min_trades} are needed to judge"
        return CapMove(before=cap, after=cap, reason=reason)
    pnl = facts.session_pnl
    if pnl < -policy.halve_loss_usd:
        reason = f"halved: the last session lost {-pnl:.2f} USD, over {policy.halve_loss_usd}"
        return CapMove(before=cap, after=_bounded(cents(cap / 2), policy), reason=reason)
    if pnl <= 0:
        reason = f"the last session came to {pnl:+.2f} USD, which moves nothing"
        return CapMove(before=cap, after=cap, reason=reason)
    doubt = _doubt(facts, policy)
    if doubt is not None:
        reason = f"the last session gained {pnl:.2f} USD, but {doubt}"
        return CapMove(before=cap, after=cap, reason=reason)
    after = _bounded(cap + min(cents(pnl * policy.gain), policy.step_usd), policy)
    return CapMove(before=cap, after=after, reason=f"the last session gained {pnl:.2f} USD")


def _doubt(facts: BudgetFacts, policy: BudgetPolicy) -> str | None:
    """Return why a gain proves too little, or None."""
    for name, found, least in (
        ("win rate", facts.win_rate, policy.min_win_rate),
        ("mean confidence", facts.mean_confidence, policy.min_confidence),
    ):
        if found is None or found < least:
            shown = "not known" if found is None else f"{found:.2f}"
            return f"the recent {name} is {shown}, {least:.2f} are needed"
    return None


def cap_within_session(cap: Decimal, facts: BudgetFacts, policy: BudgetPolicy) -> CapMove:
    """Return today's cap after a look at today's result: it can only shrink."""
    if facts.day_return_frac > -policy.day_loss_cut_frac or cap <= policy.floor_usd:
        return CapMove(before=cap, after=cap, reason="today's result is within bounds")
    reason = f"down {-facts.day_return_frac:.2%} today, cut at {policy.day_loss_cut_frac:.2%}"
    return CapMove(before=cap, after=policy.floor_usd, reason=reason)


def _bounded(cap: Decimal, policy: BudgetPolicy) -> Decimal:
    return min(max(cap, policy.floor_usd), policy.ceiling_usd)
