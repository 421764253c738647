"""Fifty asks at once against one dollar, in processes that are killed at any moment.

The server on loopback writes a bill for whatever it worked on, answered or not; it refuses, leaves
the usage out, says what has to be asked again, stalls and breaks lines. Whatever happens: the
ledger never passes its cap, agrees with every bill whose answer it heard, and is never below the
bills in all; the next start finds no reservation that nobody holds.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Final

import pytest

from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.money import usd_of
from tests.fakes.clocks import ManualClock
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.spenders import CAP, RATES, Bookkeeper, live
from tests.fakes.spending import NOON, Books, audit

pytestmark = [pytest.mark.timeout(600)]

SEED: Final = 20260304
TRIALS: Final = 8
SOAK_TRIALS: Final = 100
KILLS: Final = 3  # in each trial; the life after them ends by itself
RUNS_S: Final = (0.0, 0.9)  # after which a process that has begun is killed
FAULTS: Final = (("stall_after", 0.02), ("reset_after", 0.03), ("slow", 0.2))
START_S: Final = 60.0  # a process may take to begin: the client library loads for seconds
SPENT_S: Final = 120.0  # the last one may take to spend what is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a trial came to."""

    kills: int
    books: Books
    billed: Decimal  # USD, by the server
    calls: int  # on the server's bills


def context() -> ForkServerContext:
    """Return processes that are forked from one with everything loaded."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.fakes.spenders", "roboinvest.runtime.llm.chat.line"])
    return found


class Siege:
    """One server, one ledger, and processes that are not let live long."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / "llm.db"
        self._folder = folder
        self._chance = random.Random(f"{seed} kills")
        self._bookkeeper = Bookkeeper(random.Random(f"{seed} answers"))
        self._context = context()
        self.server = LanguageModelServer(
            script=self._bookkeeper.script, rates={"gpt-loopback": RATES}, seed=seed
        )

    def make_trouble(self) -> None:
        """Let the server stall, break lines and take its time."""
        for kind, probability in FAULTS:
            self.server.add_fault(kind=kind, count=None, probability=probability, delay_s=0.2)

    def life(self, number: int) -> None:
        """Start a process and kill it."""
        process = self._started(number)
        process.join(self._chance.uniform(*RUNS_S))
        if process.exitcode is None:
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join(10)
        assert process.exitcode in (-signal.SIGKILL, 0)
        self.hold(f"life {number}")

    def last_life(self) -> None:
        """Let a process spend what is left."""
        process = self._started(KILLS)
        try:
            process.join(SPENT_S)
            assert process.exitcode == 0
        finally:
            process.kill()
            process.join(10)

    def hold(self, when: str) -> Books:
        """Hold the file as it lies there to the cap, and to the server's bills."""
        books = audit(self.path)
        assert books.spent + books.reserved <= CAP.day_usd, when
        assert books.spent + books.reserved >= self.server.billed_usd, when
        return books

    def agree(self) -> None:
        """Compare each question's cost with its bills."""
        bills: dict[str, list[tuple[Decimal, bool]]] = {}
        for question, bill in zip(self._bookkeeper.billed, self.server.bills, strict=True):
            bills.setdefault(question, []).append((bill.usd, bill.is_told))
        with closing(sqlite3.connect(self.path)) as file:
            rows = file.execute(
                "SELECT about, state, is_estimated, charged FROM calls ORDER BY id"
            ).fetchall()
        charges: dict[str, list[tuple[str, bool, Decimal]]] = {}
        for about, state, is_estimated, charged in rows:
            charges.setdefault(about, []).append((state, bool(is_estimated), usd_of(charged)))
        assert bills.keys() <= charges.keys()
        compared = 0
        for question, paid in charges.items():
            billed = bills.get(question, [])
            assert sum(usd for _, _, usd in paid) >= sum(usd for usd, _ in billed), question
            counted = [usd for state, guess, usd in paid if state == "settled" and not guess]
            told = [usd for usd, is_told in billed if is_told]
            if any(state == "cut" or guess for state, guess, _ in paid):
                assert set(counted) <= set(told), question  # of the others nobody heard
            else:
                assert sorted(counted) == sorted(told), question
                compared += len(counted)
        assert compared > 20, "it heard too little to prove anything"

    def _started(self, number: int) -> ForkServerProcess:
        mine, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=live, args=(str(self._folder), self.server.url, number, theirs), daemon=True
        )
        process.start()
        theirs.close()
        began = mine.poll(START_S)
        mine.close()
        if not began:
            process.kill()
            raise AssertionError(f"life {number} did not begin within {START_S:g} s")
        return process


async def recovered(path: Path) -> tuple[int, Books]:
    """Return how many calls a start finds that nobody holds, and what stands there then."""
    ledger = await SpendLedger.open(
        path, CAP, in_flight=InFlight(), clock=ManualClock(NOON), recover=True
    )
    await ledger.close()
    return ledger.recovered, audit(path)


async def besieged(folder: Path, seed: int) -> Trial:
    """Spend a dollar with kills; hold what is left to what must be."""
    folder.mkdir()
    siege = Siege(folder, seed)
    with siege.server as server:
        siege.make_trouble()
        for number in range(KILLS):
            siege.life(number)
        siege.last_life()
        siege.hold("the end")
        found, books = await recovered(siege.path)
        siege.agree()
        trial = Trial(kills=KILLS, books=books, billed=server.billed_usd, calls=server.billed_calls)
    assert found == 0, f"{found} reservations leaked"
    assert books.reserved == 0
    assert trial.billed <= books.spent <= CAP.day_usd
    assert books.spent > CAP.day_usd * Decimal("0.9"), "the cap was not tried"
    print(
        f"seed {seed}: {books.spent} USD charged, {trial.billed} billed for {trial.calls} calls, "
        f"{books.states}"
    )
    return trial


async def assert_never_overspent(folder: Path, seed: int, count: int) -> None:
    """Do so many, and see that kills cut calls off."""
    done = [await besieged(folder / f"{number}", seed + number) for number in range(count)]
    cut = sum(trial.books.states.get("cut", 0) for trial in done)
    settled = sum(trial.books.states.get("settled", 0) for trial in done)
    print(f"{count} trials from seed {seed}: {count * KILLS} kills, {settled} settled, {cut} cut")
    assert cut > count


@pytest.mark.campaign
async def test_a_dollar_is_never_overspent_by_fifty_at_once_that_are_killed(
    tmp_path: Path,
) -> None:
    await assert_never_overspent(tmp_path, SEED, TRIALS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_hundred_dollars_are_never_overspent(tmp_path: Path) -> None:
    await assert_never_overspent(tmp_path, SEED + TRIALS, SOAK_TRIALS)
