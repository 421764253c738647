"""Paper orders are written down first, and a tick that is run again is a read."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from roboinvest.brokers.journaled_paper import JournaledPaperBroker
from roboinvest.core.errors import OrderRejected, TryLater
from roboinvest.core.journal import JournalState
from tests.fakes.journals import InMemoryOrderJournal
from tests.fakes.markets import bar, intent, minute, update
from tests.fakes.paper import FLAT, broker


def journaled(journal: InMemoryOrderJournal) -> JournaledPaperBroker:
    return JournaledPaperBroker(broker(), journal, limits=lambda: "{}")


async def test_an_order_is_recorded_sent_and_accepted() -> None:
    journal = InMemoryOrderJournal()
    paper = journaled(journal)
    orders = await paper.submit(intent(stop_loss="95"), minute(0))
    assert orders == await paper.open_orders()
    assert journal.events == ["intent a", "move a sending", "link a", "move a accepted"] or (
        journal.events == ["intent a", "move a sending", "move a accepted"]
    )


async def test_a_refusal_is_recorded_and_said_again_in_the_same_words() -> None:
    journal = InMemoryOrderJournal()
    paper = journaled(journal)
    wrong = intent(stop_loss="105")
    said = []
    for _ in range(2):
        with pytest.raises(OrderRejected) as refusal:
            await paper.submit(wrong, minute(0))
        said.append(str(refusal.value))
    with pytest.raises(OrderRejected) as bare:
        await broker().submit(wrong, minute(0))
    assert said == [str(bare.value)] * 2
    entry = await journal.entry("a")
    assert entry is not None
    assert entry.state is JournalState.REJECTED


async def test_a_killed_tick_runs_again_to_the_same_end_and_writes_nothing_twice() -> None:
    journal = InMemoryOrderJournal()
    paper = journaled(journal)
    before = paper.snapshot()
    first = await paper.submit(intent(), minute(0))
    events = list(journal.events)
    paper = journaled(journal)
    paper.restore(before)
    assert await paper.submit(intent(), minute(0)) == first
    assert journal.events == events


@pytest.mark.parametrize("steps", [1, 2])
async def test_a_kill_between_any_two_writes_is_made_good(steps: int) -> None:
    journal = InMemoryOrderJournal()
    await journal.record(intent(), "{}", minute(0))
    if steps == 2:
        await journal.move("a", JournalState.SENDING, minute(0))
    await journaled(journal).submit(intent(), minute(0))
    entry = await journal.entry("a")
    assert entry is not None
    assert (entry.state, entry.sends) == (JournalState.ACCEPTED, 1)


async def test_other_content_under_the_same_id_is_rejected() -> None:
    journal = InMemoryOrderJournal()
    paper = journaled(journal)
    await paper.submit(intent(), minute(0))
    with pytest.raises(OrderRejected, match="another intent"):
        await paper.submit(replace(intent(), qty=Decimal(5)), minute(0))


async def test_a_figure_that_is_no_number_is_rejected_in_the_brokers_words() -> None:
    with pytest.raises(OrderRejected, match="the mark NaN is not a positive number"):
        await journaled(InMemoryOrderJournal()).submit(intent(mark="NaN"), minute(0))


async def test_without_a_journal_nothing_is_booked() -> None:
    journal = InMemoryOrderJournal()
    journal.takes_writes = False
    paper = journaled(journal)
    with pytest.raises(TryLater):
        await paper.submit(intent(), minute(0))
    assert await paper.open_orders() == ()


async def test_fills_are_those_of_the_bare_broker() -> None:
    paper, bare = journaled(InMemoryOrderJournal()), broker()
    for each in (paper, bare):
        await each.submit(intent(stop_loss="95", take_profit="110"), minute(0))
    bars = update(minute(1), bar(minute(0), FLAT))
    assert await paper.settle(bars) == await bare.settle(bars)
    assert paper.snapshot() == bare.snapshot()
