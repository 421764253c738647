"""Runs one case of a suite against code in the box, and says outside what came of it.

What comes back from the box is numbers; whether they are the right ones is decided here. Each case
runs twice: an answer that differs between two equal runs is no answer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

import numpy as np

from meta_agents.evolution.review import JobBox, StrategyBox
from meta_agents.evolution.suites.expectations import Taken, faults_of_numbers, faults_of_trades
from meta_agents.evolution.suites.forms import CODE_OF, Case, Kind, StrategyCase, TransformCase
from meta_agents.evolution.suites.scenes import bars_of
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.orders import Side
from roboinvest.core.records import canonical_json
from roboinvest.core.strategy import Strategy
from tools.backtester.bars import digest_of
from tools.backtester.contract import Request, RoundTrip, Stage, Terms
from tools.backtester.engine import play, prepare
from tools.backtester.trades import round_trips
from tools.sandbox.job import Fault, Limits, Outcome, Transform

_CUTS: Final = (0.3, 0.5, 0.8, 0.95)  # of the rows, at which a causal transform is asked again
_OTHER_FUTURES: Final = (8.0, 0.125)  # times what later rows were
_LIMITS: Final = Limits(cpu_s=2, wall_s=20.0)
_CASH: Final = Decimal(1_000_000)  # USD: no case fails for want of it
# As `tools.boxed_strategies` says it; the words of a candidate only ever choose among categories.
_ENDED: Final = re.compile(rf"the box ended [^:]{{1,80}}: ({'|'.join(Fault)}): ")
_UNTRUSTED: Final = "cannot be trusted"
UNSTEADY: Final = str(Fault.UNSTEADY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one case came to."""

    case: str
    group: str
    input: str  # digest
    output: str  # digest; "": there is none
    category: str | None  # of what went wrong; None: nothing did
    text: str = ""  # for a person

    @property
    def line(self) -> dict[str, str | None]:
        """Return what a trace says of it: no words of the candidate."""
        return {
            "case": self.case,
            "input": self.input,
            "output": self.output,
            "verdict": self.category or "passed",
        }


class Subject(Protocol):
    """Code that can be tried."""

    def tried(self, case: Case) -> Tried:
        """Return what a case comes to.

        Raises:
            TryLater: the box is at fault, and nothing was judged.
        """


@dataclass(slots=True)
class TransformSubject:
    """A transform in the box."""

    code: str
    box: JobBox
    takes_params: bool = True  # agents of the house take none

    def tried(self, case: Case) -> Tried:
        """Return what a case comes to; see `Subject`."""
        if not isinstance(case, TransformCase):
            raise TypeError(f"{case.name} is no case of a transform")
        columns = columns_of(case)
        rows = len(next(iter(columns.values())))
        job = Transform(
            code=self.code,
            columns=columns,
            length=rows,
            params=case.params if self.takes_params else {},
            limits=_LIMITS,
        )
        done = _Told(case, _digest_of_numbers(columns, case.params))
        first = self._run(job)
        second = first if first.fault is not None else self._run(job)
        if second.signals is None or first.signals is None:
            return done.tried(str(second.fault), second.detail)
        signals, again = first.signals, second.signals
        if not np.array_equal(signals, again):
            return done.tried(UNSTEADY, "two equal runs differ")
        output = hashlib.sha256(signals.tobytes()).hexdigest()
        fault = faults_of_numbers(case.expect, signals)
        if fault is None and case.expect.causal:
            fault = self._looks_ahead(job, signals)
        return done.tried(fault, "" if fault is None else f"{fault} is not as expected", output)

    def _looks_ahead(self, job: Transform, signals: Floats) -> str | None:
        """Return "causal" where an earlier answer changes with the later rows.

        They are cut away, and, because what was highest stays so in a part that has it, also made
        much larger and much smaller.
        """
        for part in _CUTS:
            rows = max(int(job.length * part), 1)
            cut = {name: column[:rows] for name, column in job.columns.items()}
            worlds = [replace(job, columns=cut, length=rows)]
            for times in _OTHER_FUTURES:
                other = {name: column.copy() for name, column in job.columns.items()}
                for column in other.values():
                    column[rows:] *= times
                worlds.append(replace(job, columns=other))
            for world in worlds:
                found = self._run(world).signals
                if found is None or not np.array_equal(found[:rows], signals[:rows]):
                    return "causal"
        return None

    def _run(self, job: Transform) -> Outcome:
        outcome = self.box.run(job)
        if outcome.again:
            raise TryLater(
                f"the box could not run a case ({outcome.fault}: {outcome.detail}); nothing was "
                "judged: run the gates again when the machine is less busy"
            )
        return outcome


@dataclass(slots=True)
class StrategySubject:
    """A strategy in the box; made anew for each case, so that none remembers another."""

    source: str
    box: StrategyBox
    takes_params: bool = True

    def tried(self, case: Case) -> Tried:
        """Return what a case comes to; see `Subject`."""
        if not isinstance(case, StrategyCase):
            raise TypeError(f"{case.name} is no case of a strategy")
        scenes = {case.symbol: case.bars, **case.others}
        bars = {symbol: bars_of(scene, symbol) for symbol, scene in scenes.items()}
        told = hashlib.sha256(f"{digest_of(bars)}{canonical_json(dict(case.params))}".encode())
        done = _Told(case, told.hexdigest())
        try:
            taken, again = (self._taken(case, bars) for _ in range(2))
        except BadInput as error:
            return done.tried(category_of(str(error)), str(error))
        if taken != again:
            return done.tried(UNSTEADY, "two equal runs differ")
        output = hashlib.sha256(canonical_json(taken).encode()).hexdigest()
        fault = faults_of_trades(case.expect, taken)
        return done.tried(fault and fault[0], fault[1] if fault else "", output)

    def _taken(self, case: StrategyCase, bars: Mapping[str, SessionBars]) -> tuple[Taken, ...]:
        strategy = self.box(self.source, CODE_OF[Kind.STRATEGY])
        given = dict(case.params) if self.takes_params else {}
        return trades_of(strategy, case, bars, given)


def trades_of(
    strategy: Strategy,
    case: StrategyCase,
    bars: Mapping[str, SessionBars],
    given: Mapping[str, object],
) -> tuple[Taken, ...]:
    """Return the entries of a strategy on the bars of a case, played without costs.

    Raises:
        BadInput: the strategy refuses the bars, the parameters, or its own plan.
        TryLater: the box is at fault.
    """
    request = Request(
        strategy=strategy,
        values=strategy.values(given),
        bars=bars,
        timeframe=case.bars.timeframe,
        terms=Terms(cash=_CASH, rules=FRICTIONLESS, allow_short=strategy.shorts),
    )
    stage = prepare(request)
    played, _ = play(stage, request.terms, "simulator")
    trips = sorted(round_trips(played, stage), key=lambda trip: trip.entry)
    return tuple(
        Taken(
            symbol=trip.symbol,
            row=trip.signal_row,
            side=Side.BUY if trip.qty > 0 else Side.SELL,
            price=trip.entry_price,
            stop=trip.stop,
            exit_row=trip.exit_row,
            overnight=_is_overnight(stage, trip),
        )
        for trip in trips
    )


def category_of(text: str) -> str:
    """Return the box's word for a fault, where a sentence has it; else that the code is wrong."""
    if _UNTRUSTED in text:
        return UNSTEADY
    match = _ENDED.search(text)
    return match.group(1) if match else str(Fault.CODE)


def columns_of(case: TransformCase) -> dict[str, Floats]:
    """Return the columns that a case gives."""
    if case.bars is None:
        return {
            name: np.array(each, dtype=np.float64) for name, each in (case.columns or {}).items()
        }
    bars = bars_of(case.bars, "AAA")
    return {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}


@dataclass(frozen=True, slots=True)
class _Told:
    """A case whose end is still to be told."""

    case: Case
    input: str

    def tried(self, category: str | None, text: str = "", output: str = "") -> Tried:
        return Tried(
            case=self.case.name,
            group=self.case.group,
            input=self.input,
            output=output,
            category=None if category is None else str(category),
            text=text,
        )


def _digest_of_numbers(columns: Mapping[str, Floats], params: Mapping[str, float]) -> str:
    told = hashlib.sha256(canonical_json(dict(params)).encode())
    for name, column in columns.items():
        told.update(f"|{name}|{len(column)}|".encode() + column.tobytes())
    return told.hexdigest()


def _is_overnight(stage: Stage, trip: RoundTrip) -> bool:
    days = stage.parts[trip.symbol].bars.day
    return bool(days[trip.exit_row] != days[trip.entry_row])


SubjectOf = Callable[[str, bool], Subject]  # from code, and whether it takes parameters
