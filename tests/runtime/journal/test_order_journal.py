"""What every order journal keeps to: the one in a file, and the fake that other tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.journal import (
    NEXT_JOURNAL_STATES,
    JournalEntry,
    JournalState,
    positions_of,
)
from roboinvest.core.orders import Leg, Side
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from tests.fakes.journals import (
    LIMITS,
    InMemoryOrderJournal,
    an_execution,
    an_intent,
    minute,
)

Journal = SqliteOrderJournal | InMemoryOrderJournal
INTENT, SENDING, UNKNOWN, ACCEPTED, REJECTED, EXPIRED, CLOSED = JournalState
EVERY_STATE = frozenset(JournalState)
WAY_TO: Mapping[JournalState, tuple[JournalState, ...]] = {
    INTENT: (),
    SENDING: (SENDING,),
    UNKNOWN: (SENDING, UNKNOWN),
    ACCEPTED: (SENDING, ACCEPTED),
    REJECTED: (SENDING, REJECTED),
    EXPIRED: (EXPIRED,),
    CLOSED: (SENDING, ACCEPTED, CLOSED),
}


@pytest.fixture(params=["file", "fake"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    if request.param == "fake":
        yield InMemoryOrderJournal()
        return
    opened = await SqliteOrderJournal.open(tmp_path / "journal.db", in_flight=InFlight())
    yield opened
    await opened.verify()
    await opened.close()


async def written(journal: Journal) -> int:
    """Return how much was written so far, in events."""
    if isinstance(journal, InMemoryOrderJournal):
        return len(journal.events)
    return (await journal.verify()).events


async def accepted(journal: Journal, number: int = 0, venue_id: str = "v0") -> JournalEntry:
    name = an_intent(number).client_order_id
    await journal.record(an_intent(number), LIMITS, minute(number))
    await journal.move(name, SENDING, minute(number))
    return await journal.move(name, ACCEPTED, minute(number), venue_id=venue_id)


# Intents


async def test_an_intent_comes_back_as_it_was_recorded(journal: Journal) -> None:
    entry = await journal.record(an_intent(), LIMITS, minute(0))
    assert entry == JournalEntry(
        intent=an_intent(),
        limits=LIMITS,
        state=INTENT,
        venue_id=None,
        sends=0,
        clean_lookups=0,
        reason="",
        created_at=minute(0),
        sent_at=None,
        updated_at=minute(0),
    )
    assert await journal.entry(an_intent().client_order_id) == entry
    assert await journal.entry("ri1-test-nobody") is None


async def test_every_field_of_an_intent_survives(journal: Journal) -> None:
    odd = an_intent(
        qty=Decimal("0.123456789"),
        limit_price=None,
        stop_price=Decimal("0.0001"),
        stop_loss=None,
        take_profit=Decimal(1_000_000),
        symbol="BRK.B",
        leg=Leg.FLATTEN,
        side=Side.SELL,
        valid_until=minute(3) + timedelta(microseconds=1),
    )
    await journal.record(odd, LIMITS, minute(0))
    entry = await journal.entry(odd.client_order_id)
    assert entry is not None
    assert entry.intent == odd


async def test_recording_again_is_a_read_of_how_far_it_came(journal: Journal) -> None:
    before = await accepted(journal)
    events = await written(journal)
    again = replace(an_intent(), qty=Decimal("10.00"))  # the same amount, written differently
    assert await journal.record(again, '{"other":"limits"}', minute(9)) == before
    assert await written(journal) == events


async def test_another_intent_under_a_known_name_is_refused(journal: Journal) -> None:
    entry = await journal.record(an_intent(), LIMITS, minute(0))
    with pytest.raises(Refused, match="another intent"):
        await journal.record(an_intent(qty=Decimal(11)), LIMITS, minute(0))
    assert await journal.entries(EVERY_STATE) == (entry,)


async def test_a_second_intent_for_the_same_place_is_refused(journal: Journal) -> None:
    entry = await journal.record(an_intent(), LIMITS, minute(0))
    with pytest.raises(Refused, match="has the intent"):
        await journal.record(an_intent(client_order_id="ri1-test-other"), LIMITS, minute(0))
    assert await journal.entries(EVERY_STATE) == (entry,)


@pytest.mark.parametrize("figure", ["NaN", "Infinity"])
async def test_an_intent_with_a_figure_that_is_no_number_is_not_recorded(
    journal: Journal, figure: str
) -> None:
    with pytest.raises(BadInput):
        await journal.record(an_intent(take_profit=Decimal(figure)), LIMITS, minute(0))
    assert await journal.entries(EVERY_STATE) == ()


async def test_intents_are_listed_by_state_oldest_first(journal: Journal) -> None:
    for number in (2, 0, 1):
        await accepted(journal, number, venue_id=f"v{number}")
    late = await journal.record(an_intent(7), LIMITS, minute(7))
    listed = await journal.entries(frozenset({ACCEPTED}))
    assert [entry.intent for entry in listed] == [an_intent(2), an_intent(0), an_intent(1)]
    assert await journal.entries(frozenset({INTENT, UNKNOWN})) == (late,)
    assert await journal.entries(frozenset()) == ()


# Moves


@pytest.mark.parametrize("start", JournalState)
@pytest.mark.parametrize("goal", JournalState)
async def test_an_intent_moves_along_the_table_and_nowhere_else(
    journal: Journal, start: JournalState, goal: JournalState
) -> None:
    name = an_intent().client_order_id
    await journal.record(an_intent(), LIMITS, minute(0))
    for state in WAY_TO[start]:
        await journal.move(name, state, minute(1))
    before = await journal.entry(name)
    if goal in NEXT_JOURNAL_STATES[start]:
        moved = await journal.move(name, goal, minute(2), reason="so it is")
        assert (moved.state, moved.reason, moved.updated_at) == (goal, "so it is", minute(2))
        assert await journal.entry(name) == moved
    else:
        events = await written(journal)
        with pytest.raises(ValueError, match=f"no move from {start} to {goal}"):
            await journal.move(name, goal, minute(2), venue_id="v9")
        assert await journal.entry(name) == before
        assert (await journal.owner_of("v9"), await written(journal)) == (None, events)


async def test_each_move_to_sending_counts_a_send(journal: Journal) -> None:
    name = an_intent().client_order_id
    await journal.record(an_intent(), LIMITS, minute(0))
    await journal.move(name, SENDING, minute(1))
    await journal.move(name, UNKNOWN, minute(2), reason="timeout")
    await journal.move(name, UNKNOWN, minute(3), clean_lookups=1)
    entry = await journal.move(name, SENDING, minute(4))
    assert (entry.sends, entry.sent_at, entry.clean_lookups) == (2, minute(4), 1)
    entry = await journal.move(name, UNKNOWN, minute(5), clean_lookups=0, venue_id="v1")
    assert (entry.sends, entry.sent_at, entry.clean_lookups) == (2, minute(4), 0)
    entry = await journal.move(name, ACCEPTED, minute(6))
    assert (entry.venue_id, entry.updated_at, entry.created_at) == ("v1", minute(6), minute(0))


async def test_an_unknown_intent_cannot_move(journal: Journal) -> None:
    with pytest.raises(BadInput, match="not in the order journal"):
        await journal.move("ri1-test-nobody", SENDING, minute(0))


async def test_instants_are_kept_in_utc_and_refused_without_a_zone(journal: Journal) -> None:
    new_york = minute(0).astimezone(timezone(timedelta(hours=-5)))
    entry = await journal.record(an_intent(), LIMITS, new_york)
    assert (entry.created_at, entry.created_at.utcoffset()) == (minute(0), timedelta(0))
    with pytest.raises(BadInput, match="no time zone"):
        await journal.move(an_intent().client_order_id, SENDING, minute(1).replace(tzinfo=None))


# Whose orders they are


async def test_a_broker_order_is_known_by_our_name_once_it_was_told(journal: Journal) -> None:
    entry = await accepted(journal, venue_id="v0")
    await journal.link("v1", entry.intent.client_order_id)
    assert await journal.owner_of("v0") == entry.intent.client_order_id
    assert await journal.owner_of("v1") == entry.intent.client_order_id
    assert await journal.owner_of("v2") is None


async def test_linking_again_writes_nothing_and_another_owner_is_refused(
    journal: Journal,
) -> None:
    entry = await accepted(journal, venue_id="v0")
    other = await accepted(journal, 1, venue_id="v1")
    events = await written(journal)
    await journal.link("v0", entry.intent.client_order_id)
    with pytest.raises(Refused, match="belongs to"):
        await journal.link("v0", other.intent.client_order_id)
    third = await journal.record(an_intent(2), LIMITS, minute(2))
    name = third.intent.client_order_id
    await journal.move(name, SENDING, minute(2))
    with pytest.raises(Refused, match="belongs to"):
        await journal.move(name, ACCEPTED, minute(2), venue_id="v0")
    assert await written(journal) == events + 2
    assert await journal.owner_of("v0") == entry.intent.client_order_id


# Executions


async def test_executions_come_back_in_the_order_they_were_taken_in(journal: Journal) -> None:
    name = (await accepted(journal)).intent.client_order_id
    first, second = an_execution("x1"), an_execution("x2", price=Decimal("0.0001"))
    strange = an_execution("x3", "v-person", side=Side.SELL, client_order_id="by-hand")
    new = await journal.book([first, second])
    assert [(booked.seq, booked.execution, booked.owner) for booked in new] == [
        (1, first, name),
        (2, second, name),
    ]
    (other,) = await journal.book([strange])
    assert (other.seq, other.execution, other.owner) == (3, strange, None)
    assert await journal.booked() == (*new, other)
    assert await journal.booked(2) == (other,)
    assert await journal.booked(3) == ()


async def test_booking_again_writes_nothing(journal: Journal) -> None:
    name = (await accepted(journal)).intent.client_order_id
    await journal.book([an_execution("x1"), an_execution("x2")])
    events, before = await written(journal), await journal.booked()
    told_otherwise = an_execution("x1", client_order_id=name, at=minute(3))
    assert await journal.book([told_otherwise, an_execution("x2"), an_execution("x2")]) == ()
    assert await journal.book([]) == ()
    assert (await written(journal), await journal.booked()) == (events, before)


async def test_the_same_execution_twice_in_one_report_is_booked_once(journal: Journal) -> None:
    new = await journal.book([an_execution("x1"), an_execution("x1")])
    assert [booked.execution.execution_id for booked in new] == ["x1"]
    assert await journal.booked() == new


async def test_an_execution_reported_with_other_figures_is_noted_and_changes_nothing(
    journal: Journal,
) -> None:
    await journal.book([an_execution("x1")])
    more = an_execution("x1", qty=Decimal(5))
    assert len(await journal.book([more, an_execution("x2")])) == 1
    assert await journal.book([more]) == ()
    held = positions_of(await journal.booked(), ours=False)
    assert held == {"SPY": Decimal(8)}
    (noted,) = await journal.notes("execution_conflict")
    assert (noted.body["known"]["qty"], noted.body["reported"]["qty"]) == ("4", "5")


async def test_an_execution_without_a_number_books_nothing_of_its_report(
    journal: Journal,
) -> None:
    with pytest.raises(BadInput):
        await journal.book([an_execution("x1"), an_execution("x2", qty=Decimal("NaN"))])
    assert await journal.booked() == ()


async def test_executions_of_a_person_are_a_book_of_their_own(journal: Journal) -> None:
    await accepted(journal)
    sold = an_execution("x2", "v-person", side=Side.SELL, qty=Decimal(3))
    await journal.book([an_execution("x1"), sold])
    booked = await journal.booked()
    assert positions_of(booked, ours=True) == {"SPY": Decimal(4)}
    assert positions_of(booked, ours=False) == {"SPY": Decimal(-3)}


@pytest.mark.parametrize("order", list(permutations(["rest", "stream", "answer"])))
async def test_an_execution_is_ours_whatever_comes_first(
    journal: Journal, order: tuple[str, ...]
) -> None:
    name = an_intent().client_order_id
    await journal.record(an_intent(), LIMITS, minute(0))
    await journal.move(name, SENDING, minute(0))
    for what in order:
        match what:
            case "rest":  # does not say whose order it was
                await journal.book([an_execution("x1")])
            case "stream":
                await journal.book([an_execution("x2", client_order_id=name)])
            case _:
                await journal.move(name, ACCEPTED, minute(1), venue_id="v0")
    assert {booked.owner for booked in await journal.booked()} == {name}


async def test_an_execution_that_was_nobodys_becomes_ours_with_the_answer(
    journal: Journal,
) -> None:
    (early,) = await journal.book([an_execution("x1", "v0")])
    assert early.owner is None
    name = (await accepted(journal, venue_id="v0")).intent.client_order_id
    (late,) = await journal.booked()
    assert late == replace(early, owner=name)


async def test_a_duplicate_that_names_us_makes_the_first_report_ours(journal: Journal) -> None:
    name = (await journal.record(an_intent(), LIMITS, minute(0))).intent.client_order_id
    await journal.book([an_execution("x1")])
    await journal.book([an_execution("x1", client_order_id=name)])
    (booked,) = await journal.booked()
    assert (booked.owner, await journal.owner_of("v0")) == (name, name)


async def test_a_name_with_our_prefix_that_was_never_recorded_is_not_ours(
    journal: Journal,
) -> None:
    (booked,) = await journal.book([an_execution("x1", client_order_id="ri1-test-lost")])
    assert booked.owner is None


# Notes


async def test_notes_come_back_and_the_very_same_one_is_noted_once(journal: Journal) -> None:
    body = {"venue_id": "v0", "qty": Decimal("1.50"), "why": {"level": ["flatten"]}}
    await journal.note("cancel", minute(0), body)
    await journal.note("mismatch", minute(0), body)
    await journal.note("cancel", minute(0), body)
    await journal.note("cancel", minute(1), body)
    cancels = await journal.notes("cancel")
    assert [note.at for note in cancels] == [minute(0), minute(1)]
    assert cancels[0].body == {"venue_id": "v0", "qty": "1.5", "why": {"level": ["flatten"]}}
    assert [note.kind for note in await journal.notes()] == ["cancel", "mismatch", "cancel"]
    assert await written(journal) == 3


# From a thread


async def test_a_thread_does_and_sees_the_same(journal: Journal) -> None:
    name = an_intent().client_order_id
    recorded = journal.record_now(an_intent(), LIMITS, minute(0), timeout_s=5)
    sent = journal.move_now(name, SENDING, minute(1), timeout_s=5, reason="flatten")
    journal.note_now("cancel", minute(1), {"venue_id": "v0"}, timeout_s=5)
    await journal.book([an_execution("x1", client_order_id=name)])
    assert await journal.record(an_intent(), LIMITS, minute(9)) == sent
    assert (recorded.state, sent.sends, sent.reason) == (INTENT, 1, "flatten")
    assert journal.entries_now(EVERY_STATE, timeout_s=5) == (sent,)
    assert journal.booked_now(timeout_s=5) == await journal.booked()
    assert journal.booked_now(1, timeout_s=5) == ()
    assert journal.entry_now(name, timeout_s=5) == sent
    assert journal.entry_now("ri1-test-nobody", timeout_s=5) is None
    assert journal.owner_of_now("v0", timeout_s=5) == name
    assert journal.owner_of_now("v1", timeout_s=5) is None
    with pytest.raises(ValueError, match="no move"):
        journal.move_now(name, CLOSED, minute(1), timeout_s=5)
    with pytest.raises(Refused):
        journal.record_now(an_intent(qty=Decimal(1)), LIMITS, minute(0), timeout_s=5)
