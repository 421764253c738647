"""Whatever happens, in whatever order: the sums are those of a ledger kept by hand."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from roboinvest.core.errors import BadInput, Refused, RoboInvestError
from roboinvest.runtime.llm.spend.caps import Cap, SpendCaps
from roboinvest.runtime.llm.spend.days import exchange_day, month_of
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import CallFacts, Denied, Reserved
from tests.fakes.spending import NOON, a_call, audit, paid
from tests.runtime.llm.spend.conftest import Desk

CAPS: Final = SpendCaps(
    call_usd=Decimal("0.40"),
    iteration_usd=Decimal("0.70"),
    agent_day_usd=Decimal("0.90"),
    day_usd=Decimal("1.00"),
    day_ceiling_usd=Decimal("1.50"),
    month_usd=Decimal("2.00"),
)
AMOUNTS = st.decimals("0", "0.45", places=2)
CALLS = st.builds(
    lambda usd, agent, about, hours: (usd, agent, about, timedelta(hours=hours)),
    AMOUNTS,
    st.sampled_from(["strategist", "reader"]),
    st.sampled_from(["t1", "t2", ""]),
    st.integers(0, 40),
)


@dataclass
class Line:
    """A call in the ledger kept by hand."""

    facts: CallFacts
    state: str
    charged: Decimal = Decimal(0)

    @property
    def weighs(self) -> Decimal:
        return self.facts.reserved_usd if self.state == "reserved" else self.charged

    def counts_for(self, cap: Cap, other: CallFacts) -> bool:
        mine, theirs = self.facts, other
        days = exchange_day(mine.at), exchange_day(theirs.at)
        match cap:
            case Cap.ITERATION:
                return (mine.about or mine.ask_id) == (theirs.about or theirs.ask_id)
            case Cap.AGENT:
                return days[0] == days[1] and mine.agent == theirs.agent
            case Cap.DAY:
                return days[0] == days[1]
            case Cap.MONTH:
                return month_of(days[0]) == month_of(days[1])
            case Cap.CALL:
                return False


class Ledgers(RuleBasedStateMachine):
    """The real ledger beside one in a dict."""

    names: Bundle[str] = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.desk = Desk(self.folder / "llm.db")
        self.loop = asyncio.Runner()
        self.ledger: SpendLedger = self.loop.run(self.desk.open(CAPS))
        self.lines: dict[str, Line] = {}
        self.day_cap = CAPS.day_usd

    def teardown(self) -> None:
        self.loop.run(self.ledger.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    def refuses(self, call: CallFacts, others: dict[str, Line]) -> Cap | None:
        """Return the innermost cap that a call would pass."""
        for cap in Cap:
            limit = CAPS.limit(cap, self.day_cap)
            held = sum(line.weighs for line in others.values() if line.counts_for(cap, call))
            if limit is not None and held + call.reserved_usd > limit:
                return cap
        return None

    def outcome(self, work: Coroutine[Any, Any, object]) -> type[RoboInvestError] | None:
        """Return which error it came to."""
        try:
            self.loop.run(work)
        except RoboInvestError as error:
            return type(error)
        return None

    @rule(target=names, calls=st.lists(CALLS, min_size=1, max_size=6))
    def reserve(self, calls: list[tuple[Decimal, str, str, timedelta]]) -> str:
        """Reserve some calls at once; what they come to is what it is one after the other."""
        first = len(self.lines)
        facts = [
            a_call(first + n, str(usd), agent=agent, about=about, at=NOON + later)
            for n, (usd, agent, about, later) in enumerate(calls)
        ]

        async def at_once() -> list[Reserved | Denied]:
            return await asyncio.gather(*map(self.ledger.reserve, facts))

        for call, answer in zip(facts, self.loop.run(at_once()), strict=True):
            refused = self.refuses(call, self.lines)
            assert refused == (answer.cap if isinstance(answer, Denied) else None)
            state = "denied" if isinstance(answer, Denied) else "reserved"
            self.lines[call.call_id] = Line(facts=call, state=state)
        return facts[0].call_id

    @rule(name=names, cost=AMOUNTS, counted=st.booleans())
    def settle(self, name: str, cost: Decimal, counted: bool) -> None:
        """Settle a call at what was counted, or at what was reserved."""
        line = self.lines[name]
        cost = min(cost, line.facts.reserved_usd) if counted else line.facts.reserved_usd
        spent = paid(str(cost) if counted else None, counted=counted)
        expected = {"reserved": None, "cut": None, "denied": BadInput}.get(line.state, Refused)
        assert self.outcome(self.ledger.settle(name, spent)) is expected
        if expected is None:
            line.state, line.charged = "settled", cost

    @rule(name=names)
    def cut(self, name: str) -> None:
        """Charge what was reserved."""
        line = self.lines[name]
        assert self.loop.run(self.ledger.cut(name, "cut")) is (line.state == "reserved")
        if line.state == "reserved":
            line.state, line.charged = "cut", line.facts.reserved_usd

    @rule(name=consumes(names))
    def release(self, name: str) -> None:
        """Let go of a call."""
        line = self.lines[name]
        changes = line.state in ("reserved", "cut")
        assert self.loop.run(self.ledger.release(name, "refused")) is changes
        if changes:
            line.state, line.charged = "released", Decimal(0)

    @rule(usd=st.decimals("0", "1.60", places=2))
    def move_the_cap(self, usd: Decimal) -> None:
        """Move the day's cap."""
        expected = Refused if usd > CAPS.ceiling_usd else None
        assert self.outcome(self.ledger.set_day_cap(usd, "a result", NOON)) is expected
        if expected is None:
            self.day_cap = usd

    @rule(recover=st.booleans())
    def start_again(self, recover: bool) -> None:
        """Close it as it is, as a kill does, and open it again."""
        self.loop.run(self.ledger.close())
        self.ledger = self.loop.run(self.desk.open(CAPS, recover=recover))
        for line in self.lines.values():
            if recover and line.state == "reserved":
                line.state, line.charged = "cut", line.facts.reserved_usd

    @invariant()
    def the_sums_are_equal(self) -> None:
        books = audit(self.desk.path)
        kept = {name: line for name, line in self.lines.items() if line.state != "denied"}
        assert books.charged == {name: line.charged for name, line in kept.items()}
        waiting = [line for line in kept.values() if line.state == "reserved"]
        assert books.reserved == sum(line.weighs for line in waiting)

    @invariant()
    def no_fixed_cap_is_passed(self) -> None:
        for line in self.lines.values():
            for cap in (Cap.ITERATION, Cap.AGENT, Cap.MONTH):
                limit = CAPS.limit(cap, self.day_cap)
                held = sum(
                    each.weighs for each in self.lines.values() if each.counts_for(cap, line.facts)
                )
                assert limit is not None
                assert held <= limit


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
