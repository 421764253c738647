"""The strategy task in disguise: nothing true is shown, and what comes back is true again."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadReply
from roboinvest.core.market.values import Level, LevelKind
from roboinvest.core.orders import Action
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief
from roboinvest.core.quant.memories import SimilarSetup
from roboinvest.core.records import canonical_json
from roboinvest.core.tasks import Answer, Task
from roboinvest.runtime.llm.hindsight.disguise import RunDisguise
from roboinvest.runtime.llm.hindsight.masked import AnonymousModel, disguised
from roboinvest.runtime.llm.tape import key_of
from roboinvest.trading.strategy_disguise import BLOCKED, NOTE, mask_inputs
from roboinvest.trading.strategy_task import STRATEGY_TASK, StrategyForm, SymbolForm
from tests.fakes.clocks import ManualClock
from tests.fakes.language_models.client import LOOK
from tests.fakes.windows import BULLISH, brief, seen

SYMBOLS = ("AAPL", "BRKB", "MSFT", "NVDA", "SPY", "ZION")
AT = datetime(2015, 12, 23, 15, 41, tzinfo=UTC)
seeds = st.integers(0, 10_000)


def worn(seed: int = 1) -> RunDisguise:
    return RunDisguise({"mode": "replay", "seed": seed}, SYMBOLS)


def one_brief(symbol: str, chance: random.Random) -> SymbolBrief:
    close = round(chance.uniform(3, 900), 4)
    levels = tuple(
        Level(
            name=name,
            kind=LevelKind.PIVOT,
            price=round(close * chance.uniform(0.97, 1.03), 4),
            touches=0,
        )
        for name in ("P", "R1", "S1", "R2", "S2", "touched", "touched")
    )
    observation = seen(BULLISH, symbol=symbol, close=close, levels=levels, rel_volume=1.2345)
    observation = replace(observation, regime=replace(observation.regime, vix=16.2073))
    held = chance.choice(("0", "13717", "-40993", "2.5"))
    one = brief(
        replace(observation, at=AT, bar_ts=AT - timedelta(minutes=1)),
        held=held,
        entry_price=None if held == "0" else f"{close * 0.993:.4f}",
        blocked=chance.choice((None, f"{symbol} moved to {close} on 2015-12-23")),
    )
    setup = SimilarSetup(memory_id=f"20151223T154100Z/house/{symbol}", distance=1.0, r_multiple=0.5)
    return replace(one, similar=(setup,))


def question(seed: int = 1) -> StrategyInputs:
    chance = random.Random(seed)
    return StrategyInputs(
        at=AT, agent_id="house", briefs=tuple(one_brief(symbol, chance) for symbol in SYMBOLS)
    )


def true_texts(inputs: StrategyInputs) -> set[str]:
    """Return what would tell a model where and when it is, as it would be written."""
    texts = {"2015", "12-23", "20151223", *SYMBOLS}
    for one in inputs.briefs:
        observation = one.observation
        figures = [observation.close, *(level.price for level in observation.levels)]
        figures += [float(one.entry_price)] if one.entry_price is not None else []
        texts |= {f"{figure:g}" for figure in figures} | {repr(figure) for figure in figures}
    return texts


@settings(deadline=None, max_examples=60)
@given(seeds, seeds)
@example(run=2261, market=565)
def test_nothing_true_is_shown(run: int, market: int) -> None:
    inputs = question(market)
    task = disguised(STRATEGY_TASK, worn(run))
    bare, shown = canonical_json(STRATEGY_TASK.show(inputs)), canonical_json(task.show(inputs))
    for text in true_texts(inputs):
        assert not re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", shown), text
    assert "AAPL" in bare, "the search finds what is there"
    assert "2015-12-23" in bare
    hidden = mask_inputs(inputs, worn(run))
    shown_qty = {one.observation.symbol: one.position_qty for one in hidden.briefs}
    for one in inputs.briefs:  # of another symbol the same count may come up by chance
        if abs(one.position_qty) > 1_000:
            assert shown_qty[worn(run).label(one.observation.symbol)] != one.position_qty
    whole = canonical_json(hidden)
    assert not re.search(r"(?<![\w.])2015(?!\.)", whole), "a year, and not digits of a figure"
    assert "16.2073" not in whole
    assert not any(symbol in whole for symbol in SYMBOLS)


@settings(deadline=None, max_examples=60)
@given(seeds, seeds)
def test_what_decides_stays_as_it_is(run: int, market: int) -> None:
    inputs, disguise = question(market), worn(run)
    masked = {one.observation.symbol: one for one in mask_inputs(inputs, disguise).briefs}
    assert list(masked) == sorted(masked), "the order tells nothing of the alphabet"
    for one in inputs.briefs:
        true, shown = one.observation, masked[disguise.label(one.observation.symbol)].observation
        loud = {"rel_volume", "obv_share", "mfi"}
        assert {k: v for k, v in true.features.items() if k not in loud} == {
            k: v for k, v in shown.features.items() if k not in loud
        }
        assert shown.features["rel_volume"] == 1.2
        assert [level.name for level in true.levels] == [level.name for level in shown.levels]
        for before, after in zip(true.levels, shown.levels, strict=True):
            assert (before.price < true.close) == (after.price < shown.close)
            assert after.price / shown.close == pytest.approx(before.price / true.close, rel=1e-6)
        other = masked[disguise.label(true.symbol)]
        assert (other.position_qty > 0) == (one.position_qty > 0)
        assert (other.blocked is None) == (one.blocked is None)
        assert other.blocked in (None, BLOCKED)


def form_of(inputs: StrategyInputs, **changed: Any) -> StrategyForm:
    """Return a BUY of everything shown, 1 % of risk and 2 % of reward, unless `changed`."""
    views = [
        SymbolForm.model_validate(
            {
                "symbol": one.observation.symbol,
                "action": "BUY",
                "conviction": 0.4,
                "stop": one.observation.close * 0.99,
                "target": one.observation.close * 1.02,
                "reason": f"{one.observation.symbol} stands above its average.",
                **changed,
            }
        )
        for one in inputs.briefs
    ]
    return StrategyForm(views=views)


@settings(deadline=None, max_examples=60)
@given(seeds, seeds, st.floats(1e-7, 0.05), st.floats(1, 3))
def test_a_purchase_comes_back_with_its_levels_on_their_sides(
    run: int, market: int, risk: float, reward: float
) -> None:
    inputs, disguise = question(market), worn(run)
    views = []
    for one in mask_inputs(inputs, disguise).briefs:
        close = one.observation.close
        stop, target = close * (1 - risk), close * (1 + risk * reward)
        if target - close < close - stop:
            target += close - stop - (target - close) + 1e-9
        label = one.observation.symbol
        said = {"symbol": label, "action": "BUY", "conviction": 0.4, "reason": f"{label} rises"}
        views.append(SymbolForm.model_validate({**said, "stop": stop, "target": target}))
    reply = disguised(STRATEGY_TASK, disguise).read(inputs, StrategyForm(views=views))
    assert [view.symbol for view in reply.views] == list(SYMBOLS)
    for one, view in zip(inputs.briefs, reply.views, strict=True):
        if one.position_qty:
            assert view.action is Action.HOLD
            continue
        close = one.observation.close
        assert view.action is Action.BUY
        assert view.stop is not None
        assert view.target is not None
        assert view.stop < close < view.target
        assert view.target - close >= close - view.stop
        assert view.stop == pytest.approx(close * (1 - risk), abs=0.011)
        assert view.target == pytest.approx(close * (1 + risk * reward), abs=0.031)
        assert round(view.stop, 2) == view.stop
        assert view.reasons[0].text == f"{view.symbol} rises{NOTE}"


def test_what_is_wrong_with_an_answer_is_said_without_a_true_word() -> None:
    inputs, disguise = question(), worn()
    task = disguised(STRATEGY_TASK, disguise)
    masked = mask_inputs(inputs, disguise)
    upside_down = form_of(masked, stop=1e6, target=0.5)
    strangers = form_of(inputs)
    for form in (upside_down, strangers, StrategyForm(views=[])):
        with pytest.raises(BadReply) as refused:
            task.read(inputs, form)
        text = str(refused.value)
        if form is not strangers:  # it says itself what it was told by nobody
            assert not any(symbol in text for symbol in SYMBOLS)
        assert not any(repr(one.observation.close) in text for one in inputs.briefs)


def test_an_answer_that_fails_in_true_terms_alone_names_nothing() -> None:
    inputs, disguise = question(), worn()
    task = replace(STRATEGY_TASK, unmask=lambda true, *_: form_of(true, stop=1e6))
    shown = mask_inputs(inputs, disguise)
    views = [
        view.model_copy(update={"stop": one.observation.close * 0.99, "target": 1e6})
        for one, view in zip(shown.briefs, form_of(shown).views, strict=True)
    ]
    with pytest.raises(BadReply, match="line of what is allowed") as refused:
        disguised(task, disguise).read(inputs, StrategyForm(views=views))
    assert not any(symbol in str(refused.value) for symbol in SYMBOLS)
    assert refused.value.__suppress_context__


def test_answers_in_disguise_are_told_from_true_ones_and_from_each_other() -> None:
    inputs = question()
    tasks = [STRATEGY_TASK, *(disguised(STRATEGY_TASK, worn(seed)) for seed in (1, 2))]
    keys = {key_of(task, inputs, version="v", models=["m"])[0] for task in tasks}
    assert len(keys) == 3


def test_rule_and_safe_output_work_on_the_true_inputs() -> None:
    inputs, task = question(), disguised(STRATEGY_TASK, worn())
    assert task.rule(inputs) == STRATEGY_TASK.rule(inputs)
    assert task.safe(inputs) == STRATEGY_TASK.safe(inputs)


class Asked:
    """A model that keeps the task it is asked."""

    def __init__(self) -> None:
        self.task: Task[Any, Any] | None = None

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        self.task = task
        output = task.safe(inputs)
        return Answer(output=output, source="openai:m", cost_usd=Decimal(0), latency_ms=0.0)


async def test_a_task_without_a_disguise_is_answered_by_its_rule_and_says_so() -> None:
    inner, inputs = Asked(), question()
    bare = replace(STRATEGY_TASK, unmask=None)
    model = AnonymousModel(inner, worn(), ManualClock())
    answer = await model.ask(bare, inputs)
    assert inner.task is None
    assert (answer.source, answer.output) == ("rules", STRATEGY_TASK.rule(inputs))
    assert "llm.anonymise" in answer.reason
    with pytest.raises(ValueError, match="mask"):
        disguised(bare, worn())


def test_look_ups_are_not_offered_in_disguise() -> None:
    task = replace(STRATEGY_TASK, tools=(LOOK,))
    assert disguised(task, worn()).tools == ()


async def test_a_model_is_asked_in_disguise() -> None:
    inner = Asked()
    answer = await AnonymousModel(inner, worn(), ManualClock()).ask(STRATEGY_TASK, question())
    assert answer.source == "openai:m"
    assert inner.task is not None
    assert inner.task.name == f"strategy~{worn().key}"
    assert "SPY" not in canonical_json(inner.task.show(question()))
