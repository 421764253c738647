"""The ensemble: six scorers that each argue for or against being long, and their weights.

A score is in [-1, 1], comes from rounded features, and carries one sentence with its figures. The
weights depend on the regime, because trend following earns in trends and fading in ranges; a
scorer that has nothing to go on (no session average on day bars, say) gives its weight to the
others, so that the weights of a ballot always sum to 1.
News has no vote, because strangers write it: whatever a headline says, it can neither talk the
house into an entry nor out of a position. All it may do is lean on the size of an entry, at the
order gate (`core.news.gate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from roboinvest.core.market.values import Trend, Volatility
from roboinvest.core.orders import Reason
from roboinvest.core.quant.features import clip
from roboinvest.core.quant.memories import SimilarSetup
from roboinvest.core.quant.observation import Observation

MEMORY: Final = "memory"

# Shares in a whole that `weights_of` makes 1.
_IN_TREND: Final[Mapping[str, float]] = {
    "trend": 0.26,
    "mean_reversion": 0.10,
    "vwap": 0.16,
    "momentum": 0.22,
    "volatility": 0.08,
    MEMORY: 0.10,
}
_IN_RANGE: Final[Mapping[str, float]] = {
    "trend": 0.08,
    "mean_reversion": 0.30,
    "vwap": 0.22,
    "momentum": 0.12,
    "volatility": 0.10,
    MEMORY: 0.10,
}
STRESS_FACTOR: Final = 2.0  # the volatility vote weighs this much more under stress
MEMORY_PRIOR: Final = 8.0  # similar setups that weigh as much as knowing nothing
NEAR: Final = 3.0  # the distance, in setup-vector units, at which a setup counts half
_R_LIMIT: Final = 3.0  # one outlier must not speak for a dozen setups
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one scorer says."""

    name: str
    score: float  # in [-1, 1]
    text: str
    applies: bool = True  # False: nothing to go on; it weighs nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """All votes of one symbol with their weights."""

    reasons: tuple[Reason, ...]
    conviction: float  # sum of weight x score, in [-1, 1]
    unremembered: float  # the same without the memory vote, its weight given to the others


def cast_votes(observation: Observation, similar: Sequence[SimilarSetup]) -> Ballot:
    """Return the ballot of a warm observation."""
    votes = (
        trend(observation),
        mean_reversion(observation),
        vwap(observation),
        momentum(observation),
        volatility(observation),
        memory(similar),
    )
    weights = weights_of(observation, votes)
    reasons = tuple(
        Reason(name=vote.name, score=vote.score, weight=weights[vote.name], text=vote.text)
        for vote in votes
    )
    return Ballot(
        reasons=reasons,
        conviction=round(clip(sum(r.weight * r.score for r in reasons)), _DIGITS) + 0.0,
        unremembered=_without(reasons, MEMORY),
    )


def _without(reasons: Sequence[Reason], name: str) -> float:
    kept = [r for r in reasons if r.name != name]
    share = sum(r.weight for r in kept)
    total = sum(r.weight * r.score for r in kept)
    return round(clip(total / share), _DIGITS) + 0.0 if share > 0.0 else 0.0


def weights_of(observation: Observation, votes: Sequence[Vote]) -> dict[str, float]:
    """Return the weight of each vote: by regime, nothing where it does not apply, summing to 1."""
    regime = observation.regime
    table = _IN_RANGE if regime.trend is Trend.RANGE else _IN_TREND
    raw = {vote.name: table[vote.name] if vote.applies else 0.0 for vote in votes}
    if regime.volatility is Volatility.STRESSED:
        raw["volatility"] *= STRESS_FACTOR
    total = sum(raw.values())
    weights = {name: round(value / total, _DIGITS) for name, value in raw.items()}
    others = sum(value for name, value in weights.items() if name != MEMORY)
    weights[MEMORY] = round(1.0 - others, _DIGITS)  # takes what rounding left
    return weights


def trend(observation: Observation) -> Vote:
    """Follow the distance of EMA 12 from EMA 26, as far as ADX says that there is a trend.

    Source: moving-average crossing in ATR units, gated by Wilder's ADX (New Concepts in Technical
    Trading Systems, 1978); the gate opens from 15 to 30.
    """
    f = observation.features
    gate = max(0.0, min(1.0, (f["adx"] - 15.0) / 15.0))
    score = gate * (0.6 * clip(f["ema_gap"]) + 0.4 * clip(f["di_balance"] / 0.6))
    text = f"EMA 12 is {f['ema_gap']:+.2f} ATR from EMA 26 with ADX at {f['adx']:.0f}."
    return _vote("trend", score, text)


def mean_reversion(observation: Observation) -> Vote:
    """Fade closes beyond one Bollinger deviation and an RSI beyond 40 to 60; a third in a trend.

    Source: Bollinger on Bollinger Bands (2001) and Wilder's RSI (1978). A band walked in a trend
    is no extreme, hence the cut.
    """
    f = observation.features
    stretch = _beyond(f["bb_z"], 1.0) / 1.2
    strength = _beyond(f["rsi"] - 50.0, 10.0) / 15.0
    in_range = observation.regime.trend is Trend.RANGE
    score = -(0.5 * clip(stretch) + 0.5 * clip(strength)) * (1.0 if in_range else 0.33)
    text = f"Close is {f['bb_z']:+.1f} deviations from its 20-bar mean, RSI {f['rsi']:.0f}."
    return _vote("mean_reversion", score, text)


def vwap(observation: Observation) -> Vote:
    """Judge the price by the session's VWAP: reclaimed, bounced off, lost, or stretched from it.

    Source: VWAP as the benchmark of large orders (Berkowitz, Logue and Noser, 1988): a reclaim
    says that buyers took over, a touch from above that they defend it, and a wide stretch that the
    price is dear against what the day has paid.
    """
    f = observation.features
    if f["session_bars"] < 10:
        return _vote("vwap", 0.0, "The session is too young for an average price.", applies=False)
    gap, below = f["vwap_gap"], f["vwap_below"]
    score, what = clip(gap, 0.15), "on its side"
    if abs(gap) > 8.0:
        score, what = -clip(_beyond(gap, 8.0) / 8.0), "stretched"
    elif 0.0 < gap <= 2.0 and below >= 0.7:
        score, what = 0.9 if f["rel_volume"] >= 1.0 else 0.6, "reclaimed"
    elif -2.0 <= gap < 0.0 and below <= 0.3:
        score, what = -0.9 if f["rel_volume"] >= 1.0 else -0.6, "lost"
    elif gap > 0.3 and below <= 0.3 and -0.7 <= f["vwap_touch"] <= 0.3:
        score, what = 0.7, "bounced off"
    return _vote("vwap", score, f"Price is {gap:+.1f} ATR from the session's VWAP: {what}.")


def momentum(observation: Observation) -> Vote:
    """Follow moves of 15 and 60 bars, in deviations, and breaks of the opening half hour.

    Source: time-series momentum scaled by volatility (Moskowitz, Ooi and Pedersen, 2012), within
    the day (Gao, Han, Li and Zhou, 2018); opening-range breakout after Crabel (1990). A break
    counts fully one ATR beyond the range and no longer from eight on, when the move is old.
    """
    f = observation.features
    moves = 0.5 * clip(f["move_15"] / 2.0) + 0.5 * clip(f["move_60"] / 2.0)
    text = f"Moves are {f['move_15']:+.1f} and {f['move_60']:+.1f} deviations over 15 and 60 bars"
    if not f["range_known"]:
        return _vote("momentum", moves, text + ".")
    broken = f["range_break"]
    fresh = clip(broken) if abs(broken) < 8.0 else 0.0
    if fresh:
        text += f", {broken:+.1f} ATR beyond the opening range"
    return _vote("momentum", 0.7 * moves + 0.3 * fresh, text + ".")


def volatility(observation: Observation) -> Vote:
    """Follow a thrust out of a squeeze; argue against new risk while volatility is stressed.

    Source: Bollinger bands inside the Keltner channel (Carter, Mastering the Trade, 2005); the cut
    under stress after volatility-managed portfolios (Moreira and Muir, 2017).
    """
    f = observation.features
    squeezed = f["squeeze_low"] < 1.0
    score = clip(_beyond(f["thrust"], 0.8) / 1.5) * (1.0 if squeezed else 0.4)
    text = (
        f"Last 3 bars moved {f['thrust']:+.1f} ATR {'out of' if squeezed else 'without'} a squeeze"
    )
    if observation.regime.volatility is Volatility.STRESSED:
        score = min(score, 0.0) - 0.5
        text += f", volatility is stressed at {f['vol_ratio']:.1f} times the usual"
    return _vote("volatility", score, text + ".")


def memory(similar: Sequence[SimilarSetup]) -> Vote:
    """Trust what became of similar setups, near ones more, and few of them little.

    Source: nearest-neighbour regression with the mean shrunk towards zero by n / (n + prior).
    """
    if not similar:
        return _vote(MEMORY, 0.0, "No similar setup has an outcome yet.")
    weights = [1.0 / (1.0 + (setup.distance / NEAR) ** 2) for setup in similar]
    effective = sum(weights)
    outcomes = (clip(setup.r_multiple, _R_LIMIT) for setup in similar)
    mean = sum(w * r for w, r in zip(weights, outcomes, strict=True)) / effective
    score = mean * effective / (effective + MEMORY_PRIOR)
    text = f"{len(similar)} similar setups came to {mean:+.2f} R on average."
    return _vote(MEMORY, score, text)


def _vote(name: str, score: float, text: str, *, applies: bool = True) -> Vote:
    return Vote(name=name, score=round(clip(score), _DIGITS) + 0.0, text=text, applies=applies)


def _beyond(value: float, edge: float) -> float:
    """Return how far `value` is outside [-edge, edge], signed; 0 inside."""
    return max(value - edge, 0.0) + min(value + edge, 0.0)
