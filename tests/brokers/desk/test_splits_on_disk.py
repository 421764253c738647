"""A split in the journal that lasts: taken whole, owned, and provable."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from roboinvest.core.journal import positions_of
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.venue import Execution
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from tests.fakes.clocks import START
from tests.fakes.desks import DeskHouse
from tests.fakes.journals import an_execution
from tests.fakes.markets import session

EX_DATE = (START + timedelta(days=1)).date()
FOUR = Decimal(4)


async def test_the_real_journal_takes_a_split_whole_and_knows_whose_shares_they_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    journal = await SqliteOrderJournal.open(path, in_flight=InFlight())
    try:
        house = DeskHouse()
        intent = house.intent("t1", bracket=True)
        await journal.record(intent, "{}", house.clock.now())
        await journal.link("v0", f"{intent.client_order_id}-s")  # a leg: no intent of its own
        await journal.book([_bought("x1", "v0", 10), _bought("x2", "v9", 7)])
        house.journal = journal  # type: ignore[assignment]
        action = CorporateAction(symbol="AAA", kind=ActionKind.SPLIT, ex_date=EX_DATE, ratio=FOUR)
        at = START + timedelta(days=1)
        update = MarketUpdate(at=at, session=session(EX_DATE), bars=(), actions=(action,))
        for _ in range(2):
            house.restarted()
            await house.desk.begin()
            told = await house.desk.settle(update)
            assert [fill.qty for fill in told.fills] == [Decimal(40)]  # x1, in today's shares
        booked = await journal.booked()
        assert positions_of(booked, ours=True) == {"AAA": Decimal(40)}
        assert positions_of(booked, ours=False) == {"AAA": Decimal(28)}
        assert len(booked) == 4
        await journal.verify()
    finally:
        await journal.close()


def _bought(name: str, venue_id: str, qty: int) -> Execution:
    return an_execution(name, venue_id, symbol="AAA", qty=Decimal(qty), at=START)
