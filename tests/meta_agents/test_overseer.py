"""The Overseer knows everybody, judges in slices, and names causes."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from meta_agents.overseer import SLICE, Overseer
from meta_agents.overseer_evidence import Terms
from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.fingerprints import http_line, line_of
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.collector import Collector
from tests.fakes.clocks import ManualClock
from tests.fakes.wards import LIMITS, Ward, card


async def test_an_agent_registers_with_a_name_and_plain_metadata() -> None:
    overseer = Overseer(ManualClock())
    await overseer.register_agent("feed", {"type": "service"})
    taken = await overseer.register_agent(
        "scout",
        {
            "type": "research",
            "specialization": "news",
            "capabilities": ["reads"],
            "dependencies": ["feed"],
        },
    )
    assert taken == overseer.roster.card("scout")
    assert overseer.roster.dependants("feed") == ("scout",)
    assert overseer.pulse("scout") is not None
    assert overseer.pulse("nobody") is None


@pytest.mark.parametrize(
    ("name", "metadata", "said"),
    [
        ("feed", {"type": "trading"}, "another card"),
        ("new", {"type": "robot"}, "robot"),
        ("new", {"type": "service", "dependencies": ["ghost"]}, "ghost"),
        ("new", {"type": "service", "dependencies": ["new"]}, "circle"),
        ("new", {"type": "service", "colour": "red"}, "colour"),
        ("", {"type": "service"}, "name"),
        ("new", {"type": "service", "dependencies": "feed"}, "list of names"),
    ],
)
async def test_a_registration_that_says_nothing_is_refused_and_leaves_nothing(
    name: str, metadata: dict[str, object], said: str
) -> None:
    overseer = Overseer(ManualClock())
    await overseer.register_agent("feed", {"type": "service"})
    with pytest.raises(BadInput, match=said):
        await overseer.register_agent(name, metadata)
    assert set(overseer.roster.cards) == set(overseer.terms) == {"feed"}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (http_line(500), Cause.PROVIDER),
        (http_line(429, "insufficient_quota"), Cause.BUDGET),
        (http_line(401), Cause.CONFIGURATION),
        (line_of("TimeoutError"), Cause.PROVIDER),
        (line_of("KeyError"), Cause.UNKNOWN),
    ],
)
def test_what_somebody_else_runs_is_never_our_codes_fault(line: str, cause: Cause) -> None:
    ward = Ward(card("broker"), broker=Terms(limits=LIMITS, is_outside=True))
    ward.fails("broker", line)
    assert ward.look("broker").causes["broker"].cause is cause


def test_silence_of_data_is_a_gap_and_silence_of_a_vendor_its_own() -> None:
    ward = Ward(
        card("bars"),
        card("broker"),
        card("loop"),
        bars=Terms(limits=LIMITS, is_data=True),
        broker=Terms(limits=LIMITS, is_outside=True),
    )
    found = ward.look("bars", "broker", "loop")
    assert {name: each.cause for name, each in found.causes.items()} == {
        "bars": Cause.DATA_GAP,
        "broker": Cause.PROVIDER,
        "loop": Cause.OWN_CODE,
    }


def test_a_retired_agent_is_looked_at_no_more() -> None:
    ward = Ward(card("feed"), card("scout", "feed"))
    ward.look("scout")
    ward.overseer.retire("scout")
    assert set(ward.look().healths) == {"feed"}


@pytest.mark.alone
async def test_a_look_at_thousands_leaves_the_loop_free() -> None:
    overseer = Overseer(SystemClock())
    overseer.register_all([card(f"a{n}", *([f"a{n - 1}"] if n % 10 else [])) for n in range(3_000)])
    at = overseer._clock.monotonic()
    for number, name in enumerate(overseer.roster.cards):
        pulse = overseer.vitals(name)
        pulse.progressed(at)
        for _ in range(10):
            pulse.failed(at, "KeyError") if number % 2 else pulse.succeeded(at, 0.1)
    turns: list[float] = []

    async def breathe() -> None:
        while True:
            turns.append(time.thread_time())  # what other processes take is not ours
            await asyncio.sleep(0)

    with Collector() as collector:  # as in the daemon: the longest holds are the collector's
        collector.settle()
        breathing = asyncio.ensure_future(breathe())
        found = await overseer.look()
        breathing.cancel()
    assert len(found.unwell) == 1_500
    assert len(turns) >= 3_000 // SLICE
    holds = sorted(after - before for before, after in itertools.pairwise(turns))
    print(f"longest hold {holds[-1] * 1e3:.1f} ms, median {holds[len(holds) // 2] * 1e3:.2f} ms")
    assert holds[-1] < 0.020
