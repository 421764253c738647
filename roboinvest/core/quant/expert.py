"""The rules model: from what is seen of each symbol to BUY, SELL or HOLD with its arguments.

It answers the strategy task when no language model is configured, affordable or readable, and is
meant to be worth following by itself. The house trades long only: a view against a symbol closes a
position, it never opens a short one. Every view, a HOLD too, says by figures why it is not another.
A setup is a candidate, and worth remembering with its bracket, when the votes other than memory
favour a purchase, bought or not: were memory asked, one bad run would hide all that could mend it.
Deliberately absent: sizing and risk limits. They are other rules' business, and bind every model.
News is absent too: strangers write it, so it neither buys nor sells. What is held used to be sold
on a bad tone; now it leaves by the market's own votes, its bracket, its horizon or the close.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.core.errors import BadSettings
from roboinvest.core.orders import Action, Reason
from roboinvest.core.quant.brackets import Bracket, plan_bracket
from roboinvest.core.quant.calibration import bucket_of, posterior_mean
from roboinvest.core.quant.features import DAY_BAR_MIN
from roboinvest.core.quant.memories import CalibrationCell, SimilarSetup
from roboinvest.core.quant.observation import WARM_UP, Observation
from roboinvest.core.quant.votes import Ballot, cast_votes

_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertSettings:
    """Where the lines are drawn."""

    entry_conviction: float = 0.25  # BUY from here
    exit_conviction: float = -0.25  # SELL down from here
    candidate_conviction: float = 0.20  # remembered from here
    min_confidence: float = 0.35  # share of wins below which a conviction is not followed
    horizon_bars: int = 60  # a position is closed after so many bars
    stop_atrs: float = 3.0
    stop_floor_frac: float = 0.0015  # of the price
    max_risk_frac: float = 0.15  # of the price; a wider stop is no trade
    target_r: float = 1.8
    min_reward_r: float = 1.0
    no_entry_before_close_min: float = 30.0
    flat_before_close_min: float = 10.0
    hold_overnight: bool = False

    def __post_init__(self) -> None:
        if not self.exit_conviction < self.candidate_conviction <= self.entry_conviction <= 1.0:
            raise BadSettings(
                f"exit, candidate and entry conviction are {self.exit_conviction}, "
                f"{self.candidate_conviction}, {self.entry_conviction}; they must rise, up to 1."
            )
        if self.target_r < self.min_reward_r or self.min_reward_r <= 0.0:
            raise BadSettings(
                f"target_r is {self.target_r} and min_reward_r {self.min_reward_r}; "
                "the target must pay at least the least reward, which must be over 0."
            )


DEFAULT_SETTINGS: Final = ExpertSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolBrief:
    """Everything the expert is told about one symbol."""

    observation: Observation
    position_qty: Decimal  # shares, signed
    entry_price: Decimal | None  # USD per share; None when flat
    bars_held: int
    similar: tuple[SimilarSetup, ...]
    cells: tuple[CalibrationCell, ...]  # outcomes of this agent, by conviction
    time_left_min: float  # to the session's close
    cooling_down: bool  # an exit in this symbol is too recent
    blocked: str | None  # why no entry is wanted: stale data, suspended, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyInputs:
    """One tick's question."""

    at: datetime  # UTC
    agent_id: str
    briefs: tuple[SymbolBrief, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What to do with one symbol, and why."""

    symbol: str
    action: Action
    conviction: float  # in [-1, 1], before calibration
    confidence: float  # in [0, 1], the share of wins at this conviction
    stop: float | None  # USD per share; set for a BUY and for any other candidate
    target: float | None
    reasons: tuple[Reason, ...]
    summary: str  # one sentence
    is_candidate: bool  # worth remembering; its stop and target are set
    similar_setups: int
    similar_mean_r: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyReply:
    """One view per brief, in the same order."""

    views: tuple[View, ...]


def advise(inputs: StrategyInputs, settings: ExpertSettings = DEFAULT_SETTINGS) -> StrategyReply:
    """Return a view of every symbol; equal inputs give equal views, each on its own."""
    views = tuple(_view(brief, inputs.agent_id, settings) for brief in inputs.briefs)
    return StrategyReply(views=views)


def _view(brief: SymbolBrief, agent_id: str, settings: ExpertSettings) -> View:
    seen = brief.observation
    ballot = cast_votes(seen, brief.similar) if seen.warm else _no_votes(seen)
    confidence = confidence_of(brief.cells, agent_id, ballot.conviction)
    bracket = None
    if seen.warm and not brief.position_qty:
        bracket = _bracket(seen, settings)
    is_candidate = bracket is not None and ballot.unremembered >= settings.candidate_conviction
    if brief.position_qty:
        action, why = _on_position(brief, ballot, settings)
    else:
        action, why = _on_entry(brief, ballot, confidence, bracket, settings)
    shown = bracket if is_candidate or action is Action.BUY else None
    count = len(brief.similar)
    mean_r = sum(setup.r_multiple for setup in brief.similar) / count if count else 0.0
    return View(
        symbol=seen.symbol,
        action=action,
        conviction=ballot.conviction,
        confidence=confidence,
        stop=shown.stop if shown else None,
        target=shown.target if shown else None,
        reasons=ballot.reasons,
        summary=f"{action} {seen.symbol}: {why}{_strongest(ballot.reasons)}.",
        is_candidate=is_candidate,
        similar_setups=count,
        similar_mean_r=round(mean_r, _DIGITS),
    )


def _no_votes(seen: Observation) -> Ballot:
    text = f"Only {seen.bars} of the {WARM_UP} bars that the features need."
    reason = Reason(name="warm_up", score=0.0, weight=1.0, text=text)
    return Ballot(reasons=(reason,), conviction=0.0, unremembered=0.0)


def confidence_of(cells: tuple[CalibrationCell, ...], agent_id: str, conviction: float) -> float:
    """Return the share of wins that an agent had at such a conviction, shrunk to the unknown."""
    bucket = bucket_of(conviction)
    for cell in cells:
        if cell.bucket == bucket and cell.agent_id == agent_id:
            return posterior_mean(cell.wins, cell.losses)
    return posterior_mean(0, 0)


def _bracket(seen: Observation, settings: ExpertSettings) -> Bracket | None:
    return plan_bracket(
        seen,
        stop_atrs=settings.stop_atrs,
        stop_floor_frac=settings.stop_floor_frac,
        max_risk_frac=settings.max_risk_frac,
        target_r=settings.target_r,
        min_reward_r=settings.min_reward_r,
    )


def _on_position(
    brief: SymbolBrief, ballot: Ballot, settings: ExpertSettings
) -> tuple[Action, str]:
    """Return whether to close what is held, and why."""
    conviction = f"conviction {ballot.conviction:+.2f}"
    since = _since_entry(brief)
    if brief.position_qty < 0:
        return Action.HOLD, f"{brief.position_qty} shares are short, which the house never opens"
    if brief.bars_held >= settings.horizon_bars:
        return Action.SELL, f"held {brief.bars_held} bars, horizon {settings.horizon_bars}{since}"
    if _too_late(brief, settings.flat_before_close_min, settings):
        return (
            Action.SELL,
            f"{brief.time_left_min:.0f} minutes to the close, not held overnight{since}",
        )
    if brief.observation.warm and ballot.conviction <= settings.exit_conviction:
        return (
            Action.SELL,
            f"{conviction} not above the exit at {settings.exit_conviction:+.2f}{since}",
        )
    return Action.HOLD, f"{conviction} above the exit at {settings.exit_conviction:+.2f}{since}"


def _since_entry(brief: SymbolBrief) -> str:
    if not brief.entry_price:
        return ""
    gain = brief.observation.close / float(brief.entry_price) - 1.0
    return f", {gain:+.2%} since entry"


def _on_entry(
    brief: SymbolBrief,
    ballot: Ballot,
    confidence: float,
    bracket: Bracket | None,
    settings: ExpertSettings,
) -> tuple[Action, str]:
    """Return whether to buy, and why."""
    against = _objection(brief, ballot, confidence, settings)
    if against is not None:
        return Action.HOLD, against
    lead = f"conviction {ballot.conviction:+.2f} at or over {settings.entry_conviction:.2f}"
    if bracket is None:
        return Action.HOLD, f"{lead}, but a stop would risk over {settings.max_risk_frac:.0%}"
    if bracket.crowded is not None:
        wall = f"{bracket.crowded.name} at {bracket.crowded.price:.2f}"
        return Action.HOLD, f"{lead}, but {wall} leaves under {settings.min_reward_r:.1f} R"
    exits = f"stop {bracket.stop:.2f}, target {bracket.target:.2f} ({bracket.reward_r:.1f} R)"
    return Action.BUY, f"{lead}, {exits}"


def _objection(
    brief: SymbolBrief, ballot: Ballot, confidence: float, settings: ExpertSettings
) -> str | None:
    """Return the first rule that forbids an entry, in words; None when none does."""
    seen, line = brief.observation, settings.entry_conviction
    if brief.blocked is not None:
        return f"no entry, {brief.blocked}"
    if not seen.warm:
        return f"{seen.bars} bars seen, {WARM_UP} needed"
    if ballot.conviction < line:
        return f"conviction {ballot.conviction:+.2f} below {line:.2f}"
    if brief.cooling_down:
        return (
            f"conviction {ballot.conviction:+.2f} over {line:.2f}, but cooling down after an exit"
        )
    if _too_late(brief, settings.no_entry_before_close_min, settings):
        return f"{brief.time_left_min:.0f} minutes to the close are too few for an entry"
    if confidence < settings.min_confidence:
        return f"confidence {confidence:.2f} at this conviction below {settings.min_confidence:.2f}"
    return None


def _too_late(brief: SymbolBrief, margin_min: float, settings: ExpertSettings) -> bool:
    """Return whether the close is nearer than `margin_min`, or comes before another bar could act.

    An order sent now fills in the next bar, so a position must be closed one bar earlier at least.
    Day bars cannot be flat by a close, and are not asked to.
    """
    bar_min = brief.observation.features.get("bar_minutes", 0.0)
    if settings.hold_overnight or bar_min >= DAY_BAR_MIN:
        return False
    return brief.time_left_min <= max(margin_min, bar_min)


def _strongest(reasons: tuple[Reason, ...]) -> str:
    """Return the two votes that moved the conviction most, as the tail of a sentence."""
    ranked = sorted(reasons, key=lambda r: (-abs(r.weight * r.score), r.name))
    spoken = [f"{r.name} {r.score:+.2f}" for r in ranked[:2] if r.score]
    return f"; {', '.join(spoken)}" if spoken else ""
