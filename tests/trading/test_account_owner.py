"""A journal belongs to one account."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.core.events import AlertRaised, Event, TradingState, TradingStateChanged
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.trading.account_owner import AccountOwner
from roboinvest.trading.gate import StateKeeper, TradingGate
from tests.fakes.clocks import START, ManualClock


@pytest.fixture
def gate(tmp_path: Path) -> TradingGate:
    gate = TradingGate(HaltFile(tmp_path / "HALT"))
    gate.enter(TradingState.READY, "books read")
    return gate


async def test_the_first_account_owns_the_journal_and_another_one_may_not_trade(
    gate: TradingGate, tmp_path: Path
) -> None:
    told = list[Event]()
    journal = await SqliteOrderJournal.open(tmp_path / "journal.db", in_flight=InFlight())
    try:
        owner = AccountOwner(journal, gate, told.append, ManualClock())
        assert await owner.check("PA1")
        assert await owner.check("PA1")
        assert gate.look()[0] is TradingState.READY
        assert not await owner.check("PA2")
        state, reason = gate.look()
        assert state is TradingState.HALTED
        assert "PA1" in reason
        assert "PA2" in reason
        assert [e.key for e in told if isinstance(e, AlertRaised)] == ["broker.account"]
        assert await owner.check("PA1")
        assert gate.look()[0] is TradingState.READY
    finally:
        await journal.close()


async def test_every_change_of_the_trading_state_is_stored() -> None:
    class Store:
        def __init__(self) -> None:
            self.kept = dict[str, str]()

        async def put_document(self, name: str, text: str) -> None:
            self.kept[name] = text

    store = Store()
    keeper = StateKeeper(store)
    await keeper.keep(
        TradingStateChanged(at=START, state=TradingState.DEGRADED, reason="positions differ")
    )
    assert '"state":"DEGRADED"' in store.kept["trading_state"]
    assert "positions differ" in store.kept["trading_state"]
