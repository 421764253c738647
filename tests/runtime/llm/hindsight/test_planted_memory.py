"""A model that remembers loses its result in disguise; one that does not loses nothing.

Both live through five weeks of recorded-looking bars in the house, twice: on true and on disguised
inputs. The one that remembers has read about the first half.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.ports import LanguageModel
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.hindsight.comparison import Comparison, compare
from roboinvest.runtime.llm.hindsight.disguise import RunDisguise
from roboinvest.runtime.llm.hindsight.lived import Lived, read_lived
from roboinvest.runtime.llm.hindsight.masked import AnonymousModel
from roboinvest.runtime.storage.reads import StoreReader
from tests.fakes.clocks import ManualClock
from tests.fakes.hindsight import (
    CUTOFF,
    ShownModel,
    memory_of_walks,
    settings_for,
    with_memory,
    without_memory,
)
from tests.fakes.town import Town
from tools.markets import open_market


@dataclass(frozen=True)
class Pair:
    """Two lives of one model, and what they say."""

    true: Lived
    disguised: Lived
    found: Comparison


async def lived(folder: Path, model: LanguageModel, *, in_disguise: bool) -> Lived:
    settings = settings_for(folder.parent)
    market = open_market(settings)
    if in_disguise:
        worn = RunDisguise(market.stamp, market.symbols)
        model = AnonymousModel(model, worn, ManualClock())
    town = Town(market=market, folder=folder, model=model, settings=settings)
    await town.live()
    assert town.is_done
    store = await StoreReader.open_read_only(town.database, in_flight=InFlight())
    try:
        return await read_lived(store, float(settings.broker.starting_cash_usd))
    finally:
        await store.close()


def pair_of(folder: Path, model: ShownModel) -> Pair:
    true = asyncio.run(lived(folder / "true", model, in_disguise=False))
    disguised = asyncio.run(lived(folder / "disguised", model, in_disguise=True))
    chance = np.random.default_rng(5)
    found = compare(true, disguised, model="reader", cutoff=CUTOFF, chance=chance)
    return Pair(true=true, disguised=disguised, found=found)


@pytest.fixture(scope="module")
def remembers(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    model = ShownModel(with_memory(memory_of_walks(CUTOFF)))
    return pair_of(tmp_path_factory.mktemp("remembers"), model)


@pytest.fixture(scope="module")
def forgets(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair_of(tmp_path_factory.mktemp("forgets"), ShownModel(without_memory))


def test_memory_is_lost_in_disguise(remembers: Pair) -> None:
    found = remembers.found
    assert found.decay_in_disguise is not None
    assert found.decay_in_disguise.value is not None
    assert found.decay_in_disguise.value > 0.5
    assert found.decay_in_disguise.low is not None
    assert found.decay_in_disguise.low > 0.25
    assert found.true_before is not None
    assert found.disguised_before is not None
    assert found.true_before.total_return > 0.001 > found.disguised_before.total_return


def test_memory_ends_at_the_cutoff(remembers: Pair) -> None:
    found = remembers.found
    assert found.decay_after_cutoff is not None
    assert found.decay_after_cutoff.value is not None
    assert found.decay_after_cutoff.value > 0.5
    assert found.contamination.marked
    assert (found.true_before, found.true_after) != (None, None)
    assert found.true_before is not None
    assert found.true_before.sessions == 12


def test_decisions_differ_where_memory_helped(remembers: Pair) -> None:
    before, after = remembers.found.differences_before, remembers.found.differences_after
    assert before is not None
    assert after is not None
    assert before.acting is not None
    assert after.acting is not None
    assert before.acting.high < after.acting.low
    assert before.by_action["BUY"].count == remembers.found.true_before.decisions["BUY"]  # type: ignore[union-attr]
    assert before.left_out == 0


def test_without_memory_nothing_is_lost(forgets: Pair) -> None:
    found = forgets.found
    for figure in (found.decay_in_disguise, found.control):
        assert figure is not None
        assert (figure.value, figure.low, figure.high) == (0.0, 0.0, 0.0)
    for differences in (found.differences_before, found.differences_after):
        assert differences is not None
        assert differences.compared > 100
        assert differences.differing == 0
    assert forgets.true.trades == forgets.disguised.trades


def test_the_run_in_disguise_trades_the_true_symbols_at_true_prices(forgets: Pair) -> None:
    for true, disguised in zip(forgets.true.ticks, forgets.disguised.ticks, strict=True):
        assert disguised.choices.keys() == {"AAA", "BBB"}
        assert disguised.equity == true.equity
