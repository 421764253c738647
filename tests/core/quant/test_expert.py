"""The rules model decides for stated reasons, and for each symbol on its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from roboinvest.core.errors import BadSettings
from roboinvest.core.market.values import Level, LevelKind, Timeframe
from roboinvest.core.orders import Action
from roboinvest.core.quant.calibration import bucket_of
from roboinvest.core.quant.expert import (
    ExpertSettings,
    StrategyInputs,
    StrategyReply,
    SymbolBrief,
    View,
    advise,
)
from roboinvest.core.quant.memories import CalibrationCell
from roboinvest.core.records import canonical_json
from tests.fakes.windows import BEARISH, BULLISH, brief, look, seen, series_of, walk

REPOSITORY = Path(__file__).resolve().parents[3]
AT = datetime(2024, 3, 4, 16, 30, tzinfo=UTC)


def inputs(*briefs: SymbolBrief) -> StrategyInputs:
    return StrategyInputs(at=AT, agent_id="house", briefs=briefs)


def view(one: SymbolBrief, settings: ExpertSettings | None = None) -> View:
    (only,) = advise(inputs(one), settings or ExpertSettings()).views
    return only


def test_a_bullish_setup_is_bought_with_a_stop_and_a_target() -> None:
    bought = view(brief(seen(BULLISH)))
    assert bought.action is Action.BUY
    assert bought.stop is not None
    assert bought.target is not None
    assert bought.stop < 100.0 < bought.target
    assert bought.is_candidate
    assert bought.summary.startswith(f"BUY TEST: conviction {bought.conviction:+.2f}")
    assert f"{bought.stop:.2f}" in bought.summary
    assert f"{bought.target:.2f}" in bought.summary


def test_a_quiet_market_is_left_alone_and_the_reason_has_figures() -> None:
    held = view(brief(seen()))
    assert (held.action, held.stop, held.target) == (Action.HOLD, None, None)
    assert not held.is_candidate
    assert f"conviction {held.conviction:+.2f} below 0.25" in held.summary
    assert len(held.reasons) == 6


def test_the_house_never_sells_what_it_does_not_hold() -> None:
    assert view(brief(seen(BEARISH))).action is Action.HOLD
    assert view(brief(seen(BEARISH))).conviction < -0.25


def test_a_short_position_is_named_and_left_alone() -> None:
    odd = view(brief(seen(BULLISH), held="-5"))
    assert odd.action is Action.HOLD
    assert "short" in odd.summary


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"blocked": "last bar is 400 s old"}, "last bar is 400 s old"),
        ({"cooling_down": True}, "cooling down"),
        ({"time_left_min": 30.0}, "30 minutes to the close"),
    ],
)
def test_what_forbids_an_entry_is_said(changed: dict[str, object], said: str) -> None:
    one = replace(brief(seen(BULLISH)), **changed)  # type: ignore[arg-type]
    kept = view(one)
    assert kept.action is Action.HOLD
    assert said in kept.summary
    assert kept.is_candidate  # what came of it is still worth knowing
    assert kept.stop is not None


def test_too_few_bars_are_no_ground_to_act_on() -> None:
    cold = view(brief(seen(BULLISH, warm=False)))
    assert cold.action is Action.HOLD
    assert "20 bars seen, 61 needed" in cold.summary
    assert [(r.name, r.weight) for r in cold.reasons] == [("warm_up", 1.0)]
    assert not cold.is_candidate


def test_nothing_seen_is_held() -> None:
    assert view(brief(look(series_of([])))).action is Action.HOLD


def test_a_wall_before_the_target_is_named() -> None:
    wall = Level(name="R1", kind=LevelKind.PIVOT, price=100.1, touches=0)
    kept = view(brief(seen(BULLISH, levels=(wall,))))
    assert kept.action is Action.HOLD
    assert "R1 at 100.10 leaves under 1.0 R" in kept.summary
    assert kept.is_candidate


def test_a_conviction_that_kept_losing_is_not_followed() -> None:
    one = brief(seen(BULLISH))
    bucket = bucket_of(view(one).conviction)
    cell = CalibrationCell(agent_id="house", bucket=bucket, wins=2, losses=28)
    kept = view(replace(one, cells=(cell,)))
    assert kept.confidence == pytest.approx(12 / 50)
    assert kept.action is Action.HOLD
    assert "confidence 0.24 at this conviction below 0.35" in kept.summary
    others = (replace(cell, agent_id="other"), replace(cell, bucket=bucket - 1))
    assert view(replace(one, cells=others)).action is Action.BUY


def test_bad_memories_talk_the_house_out_of_a_setup_it_keeps_watching() -> None:
    mild = {"bb_z": -2.0, "rsi": 30.0, "vwap_gap": 3.0, "vwap_touch": 2.0}
    assert view(brief(seen(mild))).action is Action.BUY
    warned = view(brief(seen(mild), outcomes=[-1.0] * 12))
    assert warned.action is Action.HOLD
    assert warned.is_candidate
    assert (warned.similar_setups, warned.similar_mean_r) == (12, -1.0)


@pytest.mark.parametrize(
    ("features", "changed", "said"),
    [
        (BEARISH, {}, "not above the exit at -0.25, +2.00% since entry"),
        (BULLISH, {"bars_held": 60}, "held 60 bars, horizon 60"),
        (BULLISH, {"time_left_min": 10.0}, "10 minutes to the close, not held overnight"),
    ],
)
def test_a_position_is_closed_on_conviction_horizon_or_close(
    features: dict[str, float], changed: dict[str, object], said: str
) -> None:
    held = brief(seen(features, close=102.0), held="10", entry_price="100")
    sold = view(replace(held, **changed))  # type: ignore[arg-type]
    assert sold.action is Action.SELL
    assert said in sold.summary
    assert (sold.stop, sold.target, sold.is_candidate) == (None, None, False)


def test_a_position_is_kept_until_one_of_its_ends() -> None:
    held = brief(seen(BULLISH), held="10", bars_held=59, time_left_min=10.5)
    assert view(held).action is Action.HOLD
    blocked = replace(brief(seen(BEARISH), held="10"), blocked="stale", cooling_down=True)
    assert view(blocked).action is Action.SELL  # a block is for entries


def test_a_position_in_a_symbol_without_enough_bars_still_ends_by_time() -> None:
    cold = brief(seen(BEARISH, warm=False), held="10")
    assert view(cold).action is Action.HOLD
    assert view(replace(cold, time_left_min=5.0)).action is Action.SELL


def test_holding_overnight_is_a_choice() -> None:
    overnight = ExpertSettings(hold_overnight=True)
    late = brief(seen(BULLISH), time_left_min=1.0)
    assert view(late, overnight).action is Action.BUY
    assert view(replace(late, position_qty=10), overnight).action is Action.HOLD  # type: ignore[arg-type]


def test_hour_bars_are_sold_while_a_bar_is_left_to_fill_in() -> None:
    held = brief(seen(BULLISH, bar_minutes=60.0), held="10", time_left_min=60.0)
    assert view(held).action is Action.SELL
    assert view(replace(held, time_left_min=61.0)).action is Action.HOLD


def test_day_bars_trade_although_every_one_ends_at_the_close() -> None:
    closes = [100.0 * 1.004**row * (1 + 0.003 * (row % 3)) for row in range(200)]
    observation = look(series_of(closes, spread=0.3, timeframe=Timeframe.DAY))
    flat = brief(observation, time_left_min=0.0)
    assert view(flat).action is Action.BUY
    assert view(brief(observation, held="10", time_left_min=0.0)).action is Action.HOLD


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(61, 300), st.sampled_from([0.0005, 0.003, 0.02]))
def test_every_purchase_and_candidate_has_its_stop_below_and_its_target_above(
    seed: int, length: int, step: float
) -> None:
    observation = look(series_of(walk(seed, length, step=step)))
    eager = ExpertSettings(entry_conviction=0.0, candidate_conviction=-0.1)
    advised = view(brief(observation), eager)
    if advised.action is Action.BUY or advised.is_candidate:
        assert advised.stop is not None
        assert advised.target is not None
        assert advised.stop < observation.close < advised.target
    if advised.action is Action.BUY:
        assert advised.conviction >= 0.0


@settings(max_examples=20)
@given(st.permutations(range(5)))
def test_symbols_in_another_order_are_the_same_views_in_that_order(order: list[int]) -> None:
    series = [series_of(walk(seed, 200, step=0.002), symbol=f"S{seed}") for seed in range(5)]
    briefs = [brief(look(one), outcomes=[0.5, -1.0]) for one in series]
    plain = advise(inputs(*briefs)).views
    assert advise(inputs(*(briefs[i] for i in order))).views == tuple(plain[i] for i in order)
    assert advise(inputs(briefs[order[0]])).views == (plain[order[0]],)


def test_settings_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(BadSettings, match="must rise"):
        ExpertSettings(entry_conviction=0.1, candidate_conviction=0.2)
    with pytest.raises(BadSettings, match="least reward"):
        ExpertSettings(target_r=0.5)


def test_a_reply_survives_the_way_through_json() -> None:
    reply = advise(inputs(brief(seen(BULLISH)), brief(seen())))
    reader = TypeAdapter(StrategyReply)
    assert reader.validate_json(canonical_json(reply)) == reply


PROGRAM = """
from datetime import UTC, datetime
from roboinvest.core.quant.expert import StrategyInputs, advise
from roboinvest.core.records import canonical_json
from tests.fakes.windows import brief, look, series_of, walk
seen = [look(series_of(walk(s, 300, step=0.002))) for s in range(4)]
asked = StrategyInputs(
    at=datetime(2024, 3, 4, tzinfo=UTC), agent_id="house", briefs=tuple(map(brief, seen))
)
print(canonical_json({"asked": asked, "answered": advise(asked)}))
"""


def test_hash_seeds_change_nothing() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=REPOSITORY,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "4711")
    }
    assert len(answers) == 1
    assert len(json.loads(answers.pop())["answered"]["views"]) == 4
