"""What goes wrong in a person's code, said in one sentence that names the place.

Code of a file runs inside ours: at load, when its plan is built, and at every bar. Whatever it
raises there is the file's fault and is told as such; without that, a division by zero in somebody's
scan would look like a fault of the backtester, or end the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import numpy as np

from roboinvest.core.errors import BadInput, RoboInvestError
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.rows import Flags
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.orders import Side
from roboinvest.core.quant.conditions import Columns, Condition
from roboinvest.core.signal_levels import when
from roboinvest.core.strategy import Calculator, Entry, ExitCall, Held, Moment, Plan, Scan, ScanCall
from tools.strategies.near import near_names

# What Python and numpy raise. `Exception` would take in more, and is kept for the supervisor and
# the bus; the classes that a file makes itself are added to these.
USUAL: Final[tuple[type[BaseException], ...]] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    ReferenceError,
    RuntimeError,
    StopAsyncIteration,
    StopIteration,
    SyntaxError,
    SystemError,
    SystemExit,  # a script's way to end; the program is not the script's
    TypeError,
    ValueError,
    Warning,  # where they are turned into errors
    RoboInvestError,
)
_LONGEST: Final = 200  # characters of a foreign text
_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Blame:
    """Guards the calls into one file."""

    path: Path
    namespace: Mapping[str, object]  # of the file, while it runs and after
    stamp: str = ""  # of its strategy, once it is known

    @property
    def kinds(self) -> tuple[type[BaseException], ...]:
        """Return what the file's code may raise."""
        own = (each for each in self.namespace.values() if isinstance(each, type))
        return (*USUAL, *(each for each in own if issubclass(each, Exception)))

    def call(
        self,
        doing: str,
        function: Callable[_Asked, _Answer],
        *args: _Asked.args,
        **named: _Asked.kwargs,
    ) -> _Answer:
        """Return what a function of the file answers; `doing` begins the sentence if it raises.

        Raises:
            BadInput: the file's code raised something.
        """
        try:
            return function(*args, **named)
        except self.kinds as error:
            raise self.fault(doing, error) from error

    def fault(self, doing: str, error: BaseException) -> BadInput:
        """Return the sentence for what was raised while `doing`."""
        line = self._line(error)
        where = f"{self.path}, line {line}" if line else f"{self.path}"
        begin, end = (f"{self.stamp}: ", f" ({where})") if self.stamp else (f"{where}: ", "")
        if isinstance(error, RoboInvestError):  # tells the next step itself
            return BadInput(f"{begin}{doing}: {_cut(error)}{end}")
        kind, text = type(error).__name__, _cut(error)
        what = f"{kind}: {text}" if text else kind
        return BadInput(f"{begin}{doing} failed with {what}{end}{near_names(error)}")

    def plan(self, plan: Plan, *, shorts: bool) -> Plan:
        """Return a plan whose calls say where they failed; `shorts`: whether it may sell short."""
        scan, leave = plan.scan, plan.execution.exit
        if leave is not None:
            leave = self._leave(leave) if callable(leave) else self._condition(leave)
        return replace(
            plan,
            columns={name: self._calculator(name, each) for name, each in plan.columns.items()},
            scan=self._scan_of(scan) if isinstance(scan, Scan) else self._scan(scan, shorts),
            execution=replace(plan.execution, exit=leave),
        )

    def _scan(self, scan: ScanCall, shorts: bool) -> ScanCall:
        def guarded(now: Moment) -> Entry | bool | None:
            try:
                answer = scan(now)
                if not shorts and isinstance(answer, Entry) and answer.side is Side.SELL:
                    raise BadInput("it sells short and does not say so; set SHORTS = True")
            except self.kinds as error:
                raise self.fault(f"its scan at {_moment(now)}", error) from error
            return answer

        return guarded

    def _leave(self, leave: ExitCall) -> ExitCall:
        def guarded(now: Moment, held: Held) -> bool:
            try:
                return bool(leave(now, held))
            except self.kinds as error:
                raise self.fault(f"its exit at {_moment(now)}", error) from error

        return guarded

    def _calculator(self, name: str, calculator: Calculator) -> Calculator:
        return replace(calculator, compute=_BlamedColumn(name, calculator.compute, self))

    def _scan_of(self, scan: Scan) -> Scan:
        return Scan(
            long=self._condition(scan.long) if scan.long is not None else None,
            short=self._condition(scan.short) if scan.short is not None else None,
        )

    def _condition(self, condition: Condition) -> Condition:
        return _Blamed(condition, self)

    def _line(self, error: BaseException) -> int | None:
        """Return the last line of the file that the error went through."""
        if isinstance(error, SyntaxError) and error.filename == str(self.path):
            return error.lineno
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(self.path):
                line = trace.tb_lineno
            trace = trace.tb_next
        return line


@dataclass(frozen=True, slots=True)
class _Blamed:
    """A condition that says where it failed."""

    condition: Condition
    blame: Blame

    @property
    def names(self) -> frozenset[str]:
        return self.condition.names

    def of(self, columns: Columns) -> Flags:
        return self.blame.call("a condition", self.condition.of, columns)


@dataclass(frozen=True, slots=True)
class _BlamedColumn:
    """A function of bars that says where it failed; two of equal functions are equal."""

    name: str = field(compare=False)
    compute: Callable[[SessionBars], Floats]
    blame: Blame = field(compare=False, repr=False)

    def __call__(self, bars: SessionBars) -> Floats:
        try:
            return np.asarray(self.compute(bars), dtype=np.float64)
        except self.blame.kinds as error:
            until = f" up to {when(bars, len(bars) - 1)}" if len(bars) else ""
            doing = f"its column {self.name} over {len(bars)} bars{until}"
            raise self.blame.fault(doing, error) from error


def _cut(error: BaseException) -> str:
    """Return a foreign text in one line, not too long."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _moment(now: Moment) -> str:
    """Return a bar as a person reads of it."""
    day, minutes = now("session"), now("minutes_open")
    return f"{now.symbol} {date.fromordinal(int(day))}, {minutes:g} minutes after the open"
