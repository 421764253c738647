"""The words in force are at hand, follow the file within two seconds, and are counted."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import MutableMapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.errors import TryLater
from roboinvest.runtime.lanes.file import connect
from roboinvest.runtime.prompts import labels
from roboinvest.runtime.prompts.book import PromptBook
from roboinvest.runtime.prompts.registry import PromptRegistry
from roboinvest.runtime.prompts.versions import Outcome
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.clocks import LoopClock
from tests.fakes.prompts import MARKER, NAME, PromptPlace, a_prompt, cause
from tests.fakes.virtual_time import run_virtual

ONE, TWO = a_prompt(system="One."), a_prompt(system="Two.")


@pytest.fixture
def place(tmp_path: Path) -> PromptPlace:
    """Return a place with one prompt in it, under the loop's time."""
    place = PromptPlace(tmp_path, LoopClock())
    place.write(ONE)
    return place


def counted(place: PromptPlace) -> dict[str, int]:
    with closing(sqlite3.connect(place.path)) as connection:
        return dict(connection.execute("SELECT outcome, n FROM counts"))


async def run_for(registry: PromptRegistry, seconds: float) -> None:
    """Let the service run for so long."""
    ctx = ServiceContext(
        "prompts",
        patience_s=60.0,
        ready_within_s=30.0,
        loop_time=asyncio.get_running_loop().time,
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await registry.run(ctx)
    assert ctx.is_ready


def another_process_promotes(place: PromptPlace) -> None:
    with closing(PromptBook(connect(place.path))) as book:
        labels.propose(book, NAME, TWO, cause())
        labels.promote(book, NAME, cause())


def test_a_label_that_another_process_moves_is_followed_within_two_seconds(
    place: PromptPlace, logged: list[MutableMapping[str, Any]]
) -> None:
    async def main() -> None:
        async with place.opened() as registry:
            assert registry.current(NAME).prompt.text == ONE
            another_process_promotes(place)
            await run_for(registry, 1.9)
            assert registry.current(NAME).prompt.text == TWO

    run_virtual(main, place.in_flight)
    (line,) = (line for line in logged if line["event"] == "prompt_moved")
    assert line["prompt"] == NAME


def test_words_that_were_spoiled_in_memory_are_read_anew_on_request(place: PromptPlace) -> None:
    async def main() -> None:
        async with place.opened() as registry:
            before = registry.current(NAME)
            object.__setattr__(before, "prompt", a_prompt(system="Spoiled."))
            assert not await registry.poll()  # nothing moved in the file
            await registry.reconnect()
            assert registry.current(NAME).prompt.text == ONE

    run_virtual(main, place.in_flight)


def test_looking_where_no_label_was_moved_changes_nothing(place: PromptPlace) -> None:
    async def main() -> None:
        async with place.opened() as registry:
            before = registry.current(NAME)
            assert not await registry.poll()
            registry.count(before, Outcome.ASKED)
            await registry.flush()
            assert not await registry.poll()  # it was written, and no label was moved
            assert registry.current(NAME) is before

    run_virtual(main, place.in_flight)


def test_what_came_of_asks_is_summed(place: PromptPlace) -> None:
    async def main() -> None:
        async with place.opened() as registry:
            version = registry.current(NAME)
            usd = Decimal("0.000123456")
            for source, repaired in (("openai:m", True), ("openai:m", False), ("safe", False)):
                registry.count_ask(
                    version, source, cost_usd=usd, latency_ms=10.4, is_repaired=repaired
                )
            registry.count_ask(version, "rules", cost_usd=Decimal(0), latency_ms=0.2)
            registry.count(version.version, Outcome.WINS, 3)
            registry.count(version, Outcome.CUT)
            assert counted(place) == {}  # nothing yet
            await registry.flush()
            assert counted(place) == {
                "asked": 4,
                "answered": 2,
                "repaired": 1,
                "safe": 1,
                "rules": 1,
                "cut": 1,
                "wins": 3,
                "cost_nano_usd": 370_368,
                "latency_ms": 30,
            }

    run_virtual(main, place.in_flight)


def test_counts_are_written_every_few_seconds_and_at_the_end(place: PromptPlace) -> None:
    async def main() -> None:
        async with place.opened() as registry:
            registry.count(registry.current(NAME), Outcome.ASKED)
            await run_for(registry, 5.9)
            assert counted(place) == {"asked": 1}
            registry.count(registry.current(NAME), Outcome.ASKED, 2)
        assert counted(place) == {"asked": 3}

    run_virtual(main, place.in_flight)


def test_counts_that_cannot_be_written_wait_for_the_next_time(place: PromptPlace) -> None:
    async def main() -> None:
        async with place.opened() as registry:
            version = registry.current(NAME)
            registry.count(version, Outcome.ASKED)
            with closing(sqlite3.connect(place.path, isolation_level=None)) as other:
                other.execute("ALTER TABLE counts RENAME TO away")
                with pytest.raises(TryLater, match="could not write"):
                    await registry.flush()
                registry.count(version, Outcome.ASKED)
                other.execute("ALTER TABLE away RENAME TO counts")
            await registry.flush()
            assert counted(place) == {"asked": 2}

    run_virtual(main, place.in_flight)


async def test_what_was_given_up_on_may_still_be_done_and_is_noticed_then(
    place: PromptPlace,
) -> None:
    async with place.opened(deadline_s=1.0) as registry:
        with closing(sqlite3.connect(place.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TryLater, match="may still be done"):
                await registry.propose(NAME, TWO, cause())
            assert registry.candidate(NAME) is None
            other.execute("ROLLBACK")
        await registry.poll()  # the one thread does what it was asked first
        candidate = registry.candidate(NAME)
        assert candidate is not None
        assert candidate.prompt.text == TWO


async def test_who_is_cancelled_before_its_turn_leaves_all_as_it_was(place: PromptPlace) -> None:
    async with place.opened() as registry:
        await registry.propose(NAME, TWO, cause())
        may_go_on = threading.Event()
        assert place.pool is not None
        stuck = place.pool.submit(may_go_on.wait, 20)
        async with asyncio.TaskGroup() as group:
            promoting = group.create_task(registry.promote(NAME, cause()))
            await asyncio.sleep(0)
            promoting.cancel()
        may_go_on.set()
        stuck.result()
        await registry.poll()
        assert registry.current(NAME).prompt.text == ONE


async def test_what_takes_too_long_is_said_at_the_deadline(place: PromptPlace) -> None:
    async with place.opened(deadline_s=0.05) as registry:
        may_go_on = threading.Event()
        assert place.pool is not None
        stuck = place.pool.submit(may_go_on.wait, 20)
        try:
            with pytest.raises(TryLater, match=r"more than 0\.05 s; .* may still be done"):
                await registry.promote(NAME, cause())
            assert place.in_flight.count == 0
            assert registry.current(NAME).prompt.text == ONE
        finally:
            may_go_on.set()
            stuck.result()


def test_it_renders_and_fences_with_its_own_cleaning(place: PromptPlace) -> None:
    async def main() -> None:
        async with place.opened() as registry:
            values = {"at": "noon", "symbols": []}
            messages = registry.render(registry.current(NAME), values, MARKER)
            assert [message.speaker for message in messages] == ["system", "user"]
            assert registry.fence("  found \n", MARKER).splitlines()[1] == "found"

    run_virtual(main, place.in_flight)
