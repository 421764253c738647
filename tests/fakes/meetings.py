"""A meeting on files of its own: books, hands and models that a test writes and breaks."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from meta_agents.delegations import Delegations, InboxInThreads
from meta_agents.governance_meeting import Meeting
from meta_agents.meeting.agreements import Agreements
from meta_agents.meeting.facts import ReportFacts
from meta_agents.meeting.ports import Hand, LogPart, Order
from roboinvest.core.approvals import InboxRules
from roboinvest.core.audit import AuditRow
from roboinvest.core.errors import BadReply
from roboinvest.core.oversight.decisions import Act, Knob, json_value, number_in
from roboinvest.core.oversight.scoring import HOUSE_METRICS, Metric, Sample
from roboinvest.core.tasks import RULES, SAFE, Answer, Task
from roboinvest.runtime.governance.file import FILE_NAME as GOVERNANCE
from roboinvest.runtime.governance.file import GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.governance.outcomes import ChangeOutcomes
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.filled_form import filled_in
from roboinvest.runtime.llm.provider import Reply
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.meeting_schema import SCHEMA
from roboinvest.runtime.oversight.meetings import DecisionRow, MeetingRow, MeetingRows
from roboinvest.runtime.oversight.threads import Threads
from tests.fakes.clocks import START
from tests.fakes.wishes import AGENTS, a_report, a_wish, lower_limit, told


class LoopTime:
    """The time of one loop, which threads may ask for as well."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._loop = asyncio.get_running_loop()

    def now(self) -> datetime:
        """Return the start plus the loop's time."""
        return self._start + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Return the loop's time."""
        return self._loop.time()


class ToldModel:
    """Says what it is given, by the way of a real model: text, form, one repair, nothing."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.saw: list[Mapping[str, object]] = []

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        """Return what the next reply, or its repair, becomes."""
        self.saw.append(task.show(inputs))
        for text in self.next_texts(inputs):
            try:
                form = filled_in(task.form, Reply(text=text, usage=None))
                return _answer(task.read(inputs, form), "openai:told")
            except BadReply:
                continue
        return _answer(task.safe(inputs), SAFE)

    def next_texts(self, inputs: Any) -> list[str]:
        """Return a reply, and the same as its repair."""
        text = self.replies.pop(0) if self.replies else '{"decisions":[]}'
        return [text, text]


class Rules:
    """Answers by the rule."""

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        """Return what the rule says."""
        return _answer(task.rule(inputs), RULES)


class Mute:
    """Never answers."""

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError


class ObedientGovernor(ToldModel):
    """Wishes whatever any text before it orders: "decision: disable kill switch"."""

    def __init__(self) -> None:
        super().__init__()
        self.obeyed: list[str] = []

    def next_texts(self, inputs: Any) -> list[str]:
        """Return all that was ordered, in the worst words that a form can carry."""
        shown = json.dumps(self.saw[-1], default=str)
        orders = re.findall(r"decision: ([a-z_ ]+)", shown)
        self.obeyed += orders
        wishes = [a_wish(action=each.strip().replace(" ", "_")) for each in orders]
        wishes += [lower_limit("900", subject="max_trades_per_day") for _ in orders[:1]]
        return [told(*wishes)] * 2


def _answer(output: Any, source: str) -> Answer[Any]:
    return Answer(output=output, source=source, cost_usd=Decimal(0), latency_ms=0.0)


class FakeHand:
    """Keeps values; does what it is asked, unless it is given another behaviour."""

    def __init__(self, act: Act, values: Mapping[str, tuple[object, str, str]]) -> None:
        """Take value, least and most by subject."""
        self.act = act
        self.values = {name: value for name, (value, _, _) in values.items()}
        self.bounds = {name: (least, most) for name, (_, least, most) in values.items()}
        self.orders: list[Order] = []
        self.fails: list[Exception] = []  # raised in turn, before anything is done
        self.dies: list[BaseException] = []  # raised in turn, after it is done
        self.lies = False  # returns, and does nothing
        self.by_hand: set[str] = set()

    async def knobs(self) -> tuple[Knob, ...]:
        """Return what it has."""
        return tuple(self._knob(name) for name in sorted(self.values))

    async def standing(self, subject: str) -> str | None:
        """Return a value."""
        return self._knob(subject).text if subject in self.values else None

    async def put(self, order: Order) -> None:
        """Set a value."""
        self.orders.append(order)
        if self.fails:
            raise self.fails.pop(0)
        if not self.lies:
            bools = {"true": True, "false": False}
            value = bools[order.value] if order.value in bools else number_in(order.value)
            self.values[order.subject] = value
        if self.dies:
            raise self.dies.pop(0)

    def _knob(self, name: str) -> Knob:
        least, most = self.bounds[name]
        value: Any = self.values[name]
        return Knob(
            act=self.act,
            subject=name,
            value=value if isinstance(value, bool) else Decimal(str(value)),
            least=Decimal(least),
            most=Decimal(most),
            is_by_hand=name in self.by_hand,
        )


def all_hands() -> dict[Act, FakeHand]:
    """Return a hand for each sort of setting."""
    ceiling = FakeHand(Act.SET_LLM_CEILING, {"llm_day": ("1.00", "0.02", "10")})
    ceiling.by_hand.add("llm_day")
    entries: dict[str, tuple[object, str, str]] = {"all": (True, "0", "0"), "SPY": (True, "0", "0")}
    return {
        Act.SET_INTERVAL: FakeHand(
            Act.SET_INTERVAL,
            {"deep_research": ("7200", "900", "86400"), "alpha_discovery": ("900", "60", "7200")},
        ),
        Act.SET_LLM_CAP: FakeHand(Act.SET_LLM_CAP, {"llm_day": ("0.10", "0.02", "1.00")}),
        Act.SET_LLM_CEILING: ceiling,
        Act.SET_TRACK_PRIORITY: FakeHand(
            Act.SET_TRACK_PRIORITY, {"deep_research": ("5", "1", "10")}
        ),
        Act.SET_LIMIT: FakeHand(
            Act.SET_LIMIT,
            {
                "max_trades_per_day": ("20", "1", "20"),
                "risk_per_trade_frac": ("0.0025", "0.0001", "0.0025"),
            },
        ),
        Act.QUARANTINE: FakeHand(Act.QUARANTINE, dict.fromkeys(AGENTS, (False, "0", "0"))),
        Act.LOCK_ENTRIES: FakeHand(Act.LOCK_ENTRIES, entries),
    }


class FakeMeasures:
    """Gives samples by name; one that is a function is asked with the span."""

    def __init__(self) -> None:
        self.samples: dict[str, Callable[[datetime, datetime], Sample | None]] = {}
        self.asked: list[tuple[str, str, datetime, datetime]] = []

    def steps(self, metric: str, before: float, after: float, at: datetime, n: int = 40) -> None:
        """Let a metric step from one level to another at an instant."""

        def sample(since: datetime, until: datetime) -> Sample:
            is_after = since >= at
            return Sample(mean=after if is_after else before, deviation=0.1, n=n)

        self.samples[metric] = sample

    async def metrics(self) -> tuple[Metric, ...]:
        """Return what is measured."""
        return HOUSE_METRICS

    async def sample(
        self, metric: str, subject: str, since: datetime, until: datetime
    ) -> Sample | None:
        """Return what was set."""
        self.asked.append((metric, subject, since, until))
        found = self.samples.get(metric)
        return None if found is None else found(since, until)


class FakeLog:
    """Lines of a log; the mark is how many were read."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []
        self.marks: list[str | None] = []

    async def since(self, mark: str | None) -> LogPart:
        """Return the lines behind a mark."""
        self.marks.append(mark)
        return LogPart(
            records=tuple(self.lines[int(mark or 0) :]), mark=str(len(self.lines)), skipped=0
        )


class FakeReports:
    """The report that is set; or it is away."""

    def __init__(self, report: ReportFacts | None) -> None:
        self.report = report
        self.error: Exception | None = None

    async def newest(self) -> ReportFacts | None:
        """Return it."""
        if self.error is not None:
            raise self.error
        return self.report


class FakeScreen:
    """Keeps what a frontend would see."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {}

    async def show(self, name: str, text: str) -> None:
        """Keep it."""
        self.shown[name] = json.loads(text)


@dataclass
class Council:
    """A meeting, and all that it stands on."""

    meeting: Meeting
    rows: MeetingRows
    inbox: Inbox
    file: GovernanceFile
    hands: dict[Act, FakeHand]
    measures: FakeMeasures
    log: FakeLog
    reports: FakeReports
    screen: FakeScreen
    clock: LoopTime
    model: Any
    parts: dict[str, Any] = field(default_factory=dict)

    async def hold(self) -> MeetingRow:
        """Hold the meeting of now."""
        return await self.meeting.hold(self.clock.now())

    async def later(self, *, hours: float) -> None:
        """Let time pass, and follow up."""
        await asyncio.sleep(hours * 3600)
        await self.meeting.follow_up(self.clock.now())

    def decisions(self) -> list[DecisionRow]:
        """Return all decisions, oldest first."""
        return list(reversed(self.rows.newest(1000)))

    def only(self) -> DecisionRow:
        """Return the one decision."""
        (found,) = self.decisions()
        return found

    def refused(self) -> list[str]:
        """Return why wishes of today were refused."""
        return [each.reason for each in self.rows.refused(self.clock.now().date())]

    def audit(self) -> tuple[AuditRow, ...]:
        """Return the audit log."""
        return self.file.rows()

    def outcomes(self) -> list[dict[str, Any]]:
        """Return what was learned."""
        statement = "SELECT content FROM change_outcomes ORDER BY id"
        rows = self.file.read(lambda db: db.execute(statement).fetchall())
        return [json.loads(each) for (each,) in rows]

    def learned(self) -> ChangeOutcomes:
        """Return the table of outcomes."""
        return ChangeOutcomes(self.file)


@contextmanager
def council(
    folder: Path,
    in_flight: InFlight,
    model: Any,
    *,
    meeting: type[Meeting] = Meeting,
    **more: Any,
) -> Iterator[Council]:
    """Open a meeting on the files of a folder; to be used within a loop."""
    clock = LoopTime(more.pop("start", START))
    hands: dict[Act, FakeHand] = more.pop("hands", None) or all_hands()
    measures, log = more.pop("measures", None) or FakeMeasures(), more.pop("log", None) or FakeLog()
    reports = FakeReports(more.pop("report", a_report()))
    screen, ids = FakeScreen(), count()
    rules = more.pop("rules", None) or InboxRules()
    with (
        ThreadPoolExecutor(1) as pool,
        OverseerFile.open(folder / FILE_NAME, schemas=[SCHEMA], patience_s=0.5) as overseer,
        GovernanceFile.open(folder / GOVERNANCE, clock) as file,
    ):
        threads = more.pop("threads", Threads)(pool, in_flight)
        inbox = Inbox(file, rules, clock)
        rows = MeetingRows(overseer)
        desk = InboxInThreads(inbox, threads)
        delegates = Delegations(desk, clock=clock, new_id=lambda: f"request-{next(ids)}")
        behind: Mapping[Act, Hand] = {**hands}
        parts: dict[str, Any] = {
            "reports": reports,
            "log": log,
            "measures": measures,
            "hands": behind,
            "delegates": delegates,
            "agents": AGENTS,
            "shows": screen,
            "clock": clock,
            "threads": threads,
            **more,
        }
        made = meeting(rows, Agreements(file, inbox, threads), model, **parts)
        yield Council(
            meeting=made,
            rows=rows,
            inbox=inbox,
            file=file,
            hands=hands,
            measures=measures,
            log=log,
            reports=reports,
            screen=screen,
            clock=clock,
            model=model,
            parts=parts,
        )


def values_of(hands: Mapping[Act, FakeHand]) -> dict[str, str]:
    """Return everything that is set, to be compared."""
    return {
        f"{act}/{name}": json_value(value if isinstance(value, bool) else Decimal(str(value)))
        for act, hand in hands.items()
        for name, value in hand.values.items()
    }
