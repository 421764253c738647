"""Each scorer argues for what its source says, and the weights of a ballot sum to 1."""

from __future__ import annotations

import pytest

from roboinvest.core.market.values import Trend, Volatility
from roboinvest.core.quant import votes
from roboinvest.core.quant.memories import SimilarSetup
from roboinvest.core.quant.observation import Observation
from roboinvest.core.quant.votes import Vote, cast_votes
from tests.fakes.windows import BULLISH, look, seen, series_of, walk

RISE = look(series_of([100.0 + 0.03 * row for row in range(300)]))
FALL = look(series_of([109.0 - 0.03 * row for row in range(300)]))
# a long calm, then a sudden move within the last bars
DIP = look(series_of([*walk(4, 330, step=0.0002), *(100.0 - 0.12 * row for row in range(8))]))
SPIKE = look(series_of([*walk(4, 330, step=0.0002), *(100.0 + 0.12 * row for row in range(8))]))


def outcomes(*r_multiples: float, distance: float = 0.0) -> tuple[SimilarSetup, ...]:
    return tuple(
        SimilarSetup(memory_id=f"m{row}", distance=distance, r_multiple=r)
        for row, r in enumerate(r_multiples)
    )


def test_trend_follows_a_steady_rise_and_a_steady_fall() -> None:
    assert votes.trend(RISE).score > 0.5
    assert votes.trend(FALL).score < -0.5


def test_trend_is_silent_without_a_trend() -> None:
    assert votes.trend(seen(ema_gap=2.0, di_balance=0.8, adx=15.0)).score == 0.0
    weak, strong = (votes.trend(seen(ema_gap=2.0, adx=adx)).score for adx in (20.0, 30.0))
    assert 0.0 < weak < strong


def test_mean_reversion_fades_a_dip_and_a_spike() -> None:
    assert votes.mean_reversion(DIP).score > 0.1
    assert votes.mean_reversion(SPIKE).score < -0.1


def test_mean_reversion_is_silent_within_ordinary_bounds_and_weak_in_a_trend() -> None:
    assert votes.mean_reversion(seen(bb_z=-0.9, rsi=42.0)).score == 0.0
    in_range = votes.mean_reversion(seen(bb_z=-2.5, rsi=25.0))
    in_trend = votes.mean_reversion(seen(bb_z=-2.5, rsi=25.0, trend=Trend.BEAR))
    assert in_range.score == pytest.approx(1.0)
    assert in_trend.score == pytest.approx(0.33)


@pytest.mark.parametrize(
    ("features", "score", "word"),
    [
        ({"vwap_gap": 1.0, "vwap_below": 0.9, "rel_volume": 1.5}, 0.9, "reclaimed"),
        ({"vwap_gap": 1.0, "vwap_below": 0.9, "rel_volume": 0.5}, 0.6, "reclaimed"),
        ({"vwap_gap": -1.0, "vwap_below": 0.1, "rel_volume": 1.5}, -0.9, "lost"),
        ({"vwap_gap": 1.0, "vwap_below": 0.0, "vwap_touch": 0.1}, 0.7, "bounced off"),
        ({"vwap_gap": 16.0, "vwap_below": 0.0, "vwap_touch": 15.0}, -1.0, "stretched"),
        ({"vwap_gap": -12.0, "vwap_below": 1.0}, 0.5, "stretched"),
        ({"vwap_gap": 4.0, "vwap_below": 0.0, "vwap_touch": 3.0}, 0.15, "on its side"),
        ({"vwap_gap": -4.0, "vwap_below": 1.0}, -0.15, "on its side"),
    ],
)
def test_vwap_tells_reclaim_bounce_loss_and_stretch_apart(
    features: dict[str, float], score: float, word: str
) -> None:
    vote = votes.vwap(seen(features))
    assert vote.score == pytest.approx(score)
    assert word in vote.text


def test_a_price_that_climbs_back_over_its_average_is_a_reclaim() -> None:
    dip = [100.0] * 40 + [99.0] * 30 + [99.2, 99.4, 99.55, 99.65, 99.75]
    assert "reclaimed" in votes.vwap(look(series_of(dip))).text
    mirrored = [200.0 - close for close in dip]
    assert "lost" in votes.vwap(look(series_of(mirrored))).text


def test_vwap_weighs_nothing_in_a_young_session() -> None:
    ballot = cast_votes(seen(session_bars=9.0), ())
    assert {r.name: r.weight for r in ballot.reasons}["vwap"] == 0.0
    assert sum(r.weight for r in ballot.reasons) == pytest.approx(1.0, abs=1e-9)


def test_momentum_follows_moves_and_a_fresh_break_of_the_opening_range() -> None:
    assert votes.momentum(RISE).score > 0.4
    assert votes.momentum(FALL).score < -0.4
    still, fresh, old = (votes.momentum(seen(range_break=gap)).score for gap in (0.0, 1.5, 20.0))
    assert (still, old) == (0.0, 0.0)
    assert fresh == pytest.approx(0.3)
    assert votes.momentum(seen(range_break=-1.5)).score == pytest.approx(-0.3)


def test_volatility_follows_a_thrust_more_after_a_squeeze() -> None:
    loose = votes.volatility(seen(thrust=2.0)).score
    squeezed = votes.volatility(seen(thrust=2.0, squeeze_low=0.8)).score
    assert 0.0 < loose < squeezed
    assert votes.volatility(seen(thrust=-2.0, squeeze_low=0.8)).score == -squeezed
    assert votes.volatility(seen(thrust=0.7, squeeze_low=0.8)).score == 0.0


def test_stress_argues_against_new_risk_and_weighs_more() -> None:
    calm = seen(BULLISH, thrust=2.0, squeeze_low=0.8)
    stressed = seen(
        BULLISH, thrust=2.0, squeeze_low=0.8, volatility=Volatility.STRESSED, vol_ratio=3.0
    )
    assert votes.volatility(stressed).score <= -0.5
    shares = [
        next(r.weight for r in cast_votes(o, ()).reasons if r.name == "volatility")
        for o in (calm, stressed)
    ]
    assert shares[1] > 1.5 * shares[0]
    assert cast_votes(stressed, ()).conviction < cast_votes(calm, ()).conviction


def test_memory_speaks_up_with_more_and_nearer_outcomes() -> None:
    few, many = votes.memory(outcomes(1.0)), votes.memory(outcomes(*[1.0] * 12))
    far = votes.memory(outcomes(*[1.0] * 12, distance=9.0))
    assert few.score == pytest.approx(1 / 9, abs=1e-6)
    assert many.score == pytest.approx(12 / 20)
    assert far.score == pytest.approx(1.2 / 9.2, abs=1e-6)
    assert votes.memory(outcomes(-1.0, -1.0)).score == pytest.approx(-0.2)
    assert votes.memory(()).score == 0.0


def test_one_outlier_does_not_speak_for_the_rest() -> None:
    assert votes.memory(outcomes(50.0, *[-1.0] * 11)).score < 0.0


def test_news_has_no_vote() -> None:
    names = {reason.name for reason in cast_votes(seen(BULLISH), ()).reasons}
    assert names == {"trend", "mean_reversion", "vwap", "momentum", "volatility", "memory"}
    told = {name for name in Observation.__dataclass_fields__ if "news" in name or "senti" in name}
    assert not told


@pytest.mark.parametrize("trend", list(Trend))
@pytest.mark.parametrize("volatility", list(Volatility))
@pytest.mark.parametrize("session_bars", [1.0, 100.0])
def test_weights_sum_to_one_and_make_up_the_conviction(
    trend: Trend, volatility: Volatility, session_bars: float
) -> None:
    observation = seen(
        trend=trend,
        volatility=volatility,
        session_bars=session_bars,
        bb_z=-1.7,
        move_15=0.7,
    )
    ballot = cast_votes(observation, outcomes(0.5, -1.0))
    assert sum(r.weight for r in ballot.reasons) == pytest.approx(1.0, abs=1e-9)
    assert all(r.weight >= 0.0 and abs(r.score) <= 1.0 and r.text for r in ballot.reasons)
    total = sum(r.weight * r.score for r in ballot.reasons)
    assert ballot.conviction == pytest.approx(total, abs=1e-6)


def test_trends_are_followed_in_a_trend_and_faded_in_a_range() -> None:
    def weight(observation: Observation, name: str) -> float:
        return next(r.weight for r in cast_votes(observation, ()).reasons if r.name == name)

    trending, ranging = seen(trend=Trend.BULL), seen(trend=Trend.RANGE)
    assert weight(trending, "trend") > 2 * weight(ranging, "trend")
    assert weight(ranging, "mean_reversion") > 2 * weight(trending, "mean_reversion")


def test_the_conviction_without_memory_is_blind_to_outcomes() -> None:
    observation = seen(BULLISH)
    good, bad = (cast_votes(observation, outcomes(*[r] * 12)) for r in (2.0, -1.0))
    assert good.conviction > bad.conviction
    assert good.unremembered == bad.unremembered


def test_every_vote_of_real_looking_windows_is_bounded_and_rounded() -> None:
    scorers = (votes.trend, votes.mean_reversion, votes.vwap, votes.momentum, votes.volatility)
    for seed in range(20):
        observation = look(series_of(walk(seed, 200 + seed * 20, step=0.002)))
        cast: list[Vote] = [scorer(observation) for scorer in scorers]
        assert all(abs(v.score) <= 1.0 and v.score == round(v.score, 6) for v in cast)
