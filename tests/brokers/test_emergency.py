"""A halt that cancels and closes, through the real client, at a broker with real books."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.hands import AlpacaHands
from roboinvest.brokers.emergency import EmergencyDesk
from roboinvest.brokers.emergency_ports import Done
from roboinvest.brokers.notebook import ACCOUNT, CANCEL, CLOSE, HaltNotebook, fold_halt_log
from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.journal import JournalState
from roboinvest.core.orders import Leg, OrderIntent, OrderType, Side, TimeInForce, client_order_id
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.halt import Halt, HaltLevel
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.halt_log import HaltLog
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from tests.fakes.vendors.alpaca_server import AlpacaServer

INSTANCE, CLOCK = "abc123", SystemClock()
HALT = Halt(level=HaltLevel.FLATTEN, reason="enough", by="ann", at=CLOCK.now())


def entry(symbol: str, tick: str = "t1", **fields: Any) -> OrderIntent:
    plain = OrderIntent(
        client_order_id=client_order_id(INSTANCE, tick, "house", symbol, Leg.ENTRY),
        tick_id=tick,
        agent_id="house",
        revision_id="built-in",
        symbol=symbol,
        leg=Leg.ENTRY,
        side=Side.BUY,
        qty=Decimal(10),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        mark=Decimal(100),
        valid_until=CLOCK.now() + timedelta(minutes=5),
    )
    return replace(plain, **fields)


class House:
    """A broker with real books, a journal, and what carries a halt out."""

    def __init__(self, server: AlpacaServer, folder: Path) -> None:
        self.server = server
        self.journal = SqliteOrderJournal.open_now(folder / "journal.db")
        self.halt_log = HaltLog(folder / "halt.log")
        self.hands = AlpacaHands(
            AlpacaAccess(
                key_id=Secret(server.key),
                secret_key=Secret(server.secret),
                base_url=server.url,
                stream_url=server.stream_url,
                loopback_only=True,
            ),
            monotonic=CLOCK.monotonic,
        )
        self.told = list[str]()

    def send(self, intent: OrderIntent) -> str:
        """Send an intent as the desk would, and return the broker's id of it."""
        self.journal.record_now(intent, "{}", CLOCK.now(), timeout_s=5)
        name = intent.client_order_id
        self.journal.move_now(name, JournalState.SENDING, CLOCK.now(), timeout_s=5)
        outcome = self.hands.place(intent)
        assert outcome.orders, outcome
        self.journal.move_now(
            name,
            JournalState.ACCEPTED,
            CLOCK.now(),
            venue_id=outcome.orders[0].venue_id,
            timeout_s=5,
        )
        return outcome.orders[0].venue_id

    def halt(self, halt: Halt = HALT, *, journal: bool = True, all_positions: bool = False) -> Done:
        notebook = HaltNotebook(self.journal if journal else None, self.halt_log, instance=INSTANCE)
        desk = EmergencyDesk(
            self.hands, notebook, instance=INSTANCE, clock=CLOCK, pause=threading.Event().wait
        )
        return desk.carry_out(halt, self.told.append, all_positions=all_positions)

    def open_symbols(self) -> list[tuple[str, str]]:
        return sorted((o.symbol, o.side) for o in self.hands.open_orders())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with AlpacaServer(seed=5) as server:
        for symbol in ("SPY", "AAPL", "MSFT"):
            server.set_price(symbol, 100)
        made = House(server, tmp_path)
        yield made
        made.journal.close_now()
        made.hands.close()


def test_level_new_asks_the_broker_nothing(house: House) -> None:
    before = len(house.server.requests)
    assert house.halt(Halt(level=HaltLevel.NEW, reason="", by="ann", at=HALT.at)) == Done()
    assert len(house.server.requests) == before


def test_level_cancel_ends_our_entries_and_leaves_stops_and_a_persons_orders(house: House) -> None:
    house.send(entry("SPY", stop_loss=Decimal(90), take_profit=Decimal(120)))
    waiting: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": Decimal(80)}
    house.send(entry("AAPL", **waiting))
    house.hands.place(entry("MSFT", client_order_id="by-hand", **waiting))
    done = house.halt(Halt(level=HaltLevel.CANCEL, reason="", by="ann", at=HALT.at))
    assert done == Done(cancelled=1)
    assert house.open_symbols() == [("MSFT", "buy"), ("SPY", "sell"), ("SPY", "sell")]
    assert house.server.positions() == {"SPY": Decimal(10)}


def test_level_flatten_cancels_all_of_ours_and_closes_what_we_hold(house: House) -> None:
    house.send(entry("SPY", stop_loss=Decimal(90), take_profit=Decimal(120)))
    house.server.person_trades("SPY", "buy", 7, 100)
    house.server.person_trades("MSFT", "buy", 3, 100)
    done = house.halt()
    assert (done.closed, done.failed) == (1, 0), house.told
    assert house.open_symbols() == []
    assert house.server.positions() == {"SPY": Decimal(7), "MSFT": Decimal(3)}
    assert any("10 to close sent" in line for line in house.told)


def test_everything_goes_only_when_a_person_says_so(house: House) -> None:
    house.send(entry("SPY"))
    house.server.person_trades("MSFT", "buy", 3, 100)
    house.halt(all_positions=True)
    assert house.server.positions() == {}


def test_a_daemon_and_a_command_that_both_act_close_once(house: House) -> None:
    house.send(entry("SPY"))
    house.server.behave(holds_fills=True)  # the position stays until the exchange gets to it
    assert house.halt().closed == 1
    assert house.halt().is_clean
    (closing,) = (o for o in house.server.orders() if o.side == "sell")
    assert house.server.booked_count(closing.client_order_id) == 1
    house.server.fill(closing.id)
    assert house.server.positions() == {}


@pytest.mark.parametrize("kind", ["status_after", "reset_after", "truncated", "stall_after"])
def test_a_close_whose_answer_was_lost_is_not_sent_twice(house: House, kind: str) -> None:
    house.send(entry("SPY"))
    house.server.add_fault(kind=kind, method="POST", path="/v2/orders", status=504)
    assert not house.halt().is_clean
    assert house.halt().is_clean
    sold = [trade for trade in house.server.executions() if trade.side == "sell"]
    assert sum(trade.qty for trade in sold) == Decimal(10)
    assert house.server.positions() == {}


def test_a_person_who_sold_our_shares_by_hand_is_not_sold_short(house: House) -> None:
    house.send(entry("SPY"))
    house.server.person_trades("SPY", "sell", 10, 100)
    done = house.halt()
    assert done.closed == 0
    assert house.server.positions() == {}
    assert any("left alone" in line for line in house.told)


def test_every_request_is_written_down_before_it_leaves(house: House) -> None:
    house.send(entry("SPY", stop_loss=Decimal(90)))
    house.halt()
    assert CANCEL in {note.kind for note in asyncio.run(house.journal.notes())}
    closing = house.journal.entries_now(frozenset({JournalState.ACCEPTED}), timeout_s=5)
    assert [e.intent.leg for e in closing if e.intent.tick_id.startswith("halt-")] == [Leg.FLATTEN]


def test_without_a_journal_the_halt_log_takes_the_notes_and_only_everything_can_be_closed(
    house: House,
) -> None:
    house.send(entry("SPY", order_type=OrderType.LIMIT, limit_price=Decimal(80)))
    house.server.person_trades("MSFT", "buy", 3, 100)
    done = house.halt(journal=False)
    assert done.cancelled == 1
    assert done.closed == 0
    assert any("--all-positions" in line for line in house.told)
    house.halt(journal=False, all_positions=True)
    assert house.server.positions() == {}
    assert {note.kind for note in house.halt_log.read()} == {CANCEL, CLOSE}


async def test_what_the_halt_log_took_becomes_an_intent_to_look_up(
    house: House, tmp_path: Path
) -> None:
    house.server.person_trades("MSFT", "buy", 3, 100)
    house.halt(journal=False, all_positions=True)
    journal = await SqliteOrderJournal.open(tmp_path / "other.db", in_flight=InFlight())
    try:
        for _ in range(2):
            await fold_halt_log(house.halt_log, journal, CLOCK.now())
        (sent,) = await journal.entries(frozenset({JournalState.SENDING}))
        assert (sent.intent.leg, sent.intent.qty) == (Leg.FLATTEN, Decimal(3))
        assert house.halt_log.read() == ()
    finally:
        await journal.close()


def test_flattening_under_random_faults_never_sells_more_than_we_hold(house: House) -> None:
    seed = 11
    print(f"faults drawn with seed {seed}")
    chance = random.Random(seed)
    house.send(entry("SPY", stop_loss=Decimal(90), take_profit=Decimal(120)))
    house.send(entry("AAPL"))
    for attempt in range(6):
        kind = chance.choice(["reset_before", "reset_after", "status", "truncated"])
        house.server.add_fault(kind=kind, count=1, skip=chance.randrange(6), status=503)
        try:
            done = house.halt()
        except TryLater as error:
            print(f"attempt {attempt}: {error}")
            continue
        print(f"attempt {attempt}: {kind}: {done}")
    house.server.clear_faults()
    house.halt()
    held = house.server.positions()
    assert all(qty >= 0 for qty in held.values()), held
    assert held == {}


def test_a_close_that_was_refused_is_tried_again_under_another_name(house: House) -> None:
    house.send(entry("SPY", stop_loss=Decimal(90)))
    house.server.add_fault(
        kind="status",
        method="POST",
        path="/v2/orders",
        status=403,
        body={"code": 40310000, "message": "insufficient qty available for order"},
    )
    assert not house.halt().is_clean
    assert house.server.positions() == {"SPY": Decimal(10)}
    assert house.halt().closed == 1
    assert house.server.positions() == {}


def test_shares_that_came_late_are_closed_as_well_and_not_called_closed(house: House) -> None:
    house.send(entry("SPY"))
    assert house.halt().closed == 1
    house.send(entry("SPY", tick="t2", qty=Decimal(5)))  # as an entry whose cancel was slow
    assert house.halt().closed == 1
    assert house.server.positions() == {}


def test_a_halt_is_not_done_while_an_entry_may_still_arrive(house: House) -> None:
    late = entry("SPY")
    house.journal.record_now(late, "{}", CLOCK.now(), timeout_s=5)
    house.journal.move_now(late.client_order_id, JournalState.SENDING, CLOCK.now(), timeout_s=5)
    assert not house.halt().is_clean
    outcome = house.hands.place(late)  # it arrives, and fills
    house.journal.move_now(
        late.client_order_id,
        JournalState.ACCEPTED,
        CLOCK.now(),
        venue_id=outcome.orders[0].venue_id,
        timeout_s=5,
    )
    assert house.halt().is_clean
    assert house.server.positions() == {}


def test_executions_that_are_not_told_yet_are_waited_for_and_never_sold_twice(
    house: House,
) -> None:
    house.send(entry("SPY"))
    asyncio.run(house.journal.book(house.hands.executions(CLOCK.now() - timedelta(hours=1))))
    house.halt()
    house.server.person_trades("SPY", "buy", 10, 100)
    house.server.add_fault(kind="status", path="/v2/account/activities", status=503, count=2)
    done = house.halt()
    assert not done.is_clean
    assert house.server.positions() == {"SPY": Decimal(10)}


def test_keys_of_another_account_are_refused_before_anything_is_asked(house: House) -> None:
    house.send(entry("SPY"))
    house.journal.note_now(ACCOUNT, CLOCK.now(), {"account_id": "another"}, timeout_s=5)
    with pytest.raises(Refused, match="another"):
        house.halt()
    assert house.server.positions() == {"SPY": Decimal(10)}
