from __future__ import annotations

import asyncio

import pytest

from roboinvest.runtime.supervision.service import in_words
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual


def test_the_same_progress_twice_is_no_beat() -> None:
    async def main() -> None:
        ctx = context(patience_s=10)
        ctx.beat(progress=1)
        await asyncio.sleep(6)
        ctx.beat(progress=1)
        assert ctx.beats == 1
        assert ctx.hung_at() == 10
        ctx.beat(progress=2)
        assert ctx.beats == 2
        assert ctx.hung_at() == pytest.approx(16)

    run_virtual(main)


def test_an_announced_wait_is_granted_once_per_beat() -> None:
    async def main() -> None:
        ctx = context(patience_s=10)
        ctx.ready()
        ctx.idle(100)
        assert ctx.hung_at() == 110
        ctx.idle(1_000)
        assert ctx.hung_at() == 110
        ctx.beat()
        ctx.idle()
        assert ctx.hung_at() is None
        ctx.beat()
        assert ctx.hung_at() == 10

    run_virtual(main)


def test_a_start_is_not_a_place_to_wait() -> None:
    async def main() -> None:
        ctx = context(ready_within_s=5)
        ctx.idle()
        assert ctx.hung_at() == 5

    run_virtual(main)


def test_the_first_beat_makes_ready() -> None:
    async def main() -> None:
        ctx = context()
        assert not ctx.is_ready
        ctx.beat()
        assert ctx.is_ready

    run_virtual(main)


def test_every_keeps_to_its_grid_when_the_work_takes_time() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        seen = []
        async for _ in context().every(10, at_once=False):
            seen.append(loop.time())
            await asyncio.sleep(3.7)
            if len(seen) == 4:
                break
        return seen

    assert run_virtual(main) == pytest.approx([10, 20, 30, 40])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no\n  price"), "ValueError: no price"),
        (TimeoutError(), "TimeoutError"),
        (ExceptionGroup("g", [KeyError("a"), OSError("b")]), "KeyError: 'a' (and 1 more)"),
        (ExceptionGroup("g", [ExceptionGroup("h", [OSError("deep")])]), "OSError: deep"),
    ],
)
def test_an_error_in_words_is_one_line_that_names_the_cause(error: Exception, words: str) -> None:
    assert in_words(error) == words
