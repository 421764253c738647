"""The calls of a boxed strategy, asked in the box: its scan by a walk, its exit by one kept open.

The scan's walk is played twice, and must answer alike. The exit's, one for each symbol, goes on
while questions about the same bars come in the order of time, and is opened anew with what is known
by then where they do not, so that no bar is in the process before its time.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput, StrategyFailed, TryLater
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.orders import Side
from roboinvest.core.oversight.evidence import Nature, Origin, nature_of
from roboinvest.core.oversight.fingerprints import error_of, line_of
from roboinvest.core.signal_levels import Signs, when
from roboinvest.core.signals import ClosedBar
from roboinvest.core.strategy import Entry, Held, Moment, Number
from tools.boxed_strategies.boxes import Boxes, Kept
from tools.boxed_strategies.inside.driver import ASKED, HAS_STOP, HAS_TARGET, LONG, SHORT
from tools.boxed_strategies.jobs import HELD, Asked, BoxedFile, enlarged
from tools.boxed_strategies.rows import Rows, rows_of, unasked
from tools.sandbox.job import Fault, Outcome

_REOPEN_ROWS: Final = 400  # not asked about: a new walk that is given them is quicker
_MOST_ROWS: Final = 20_000  # of a kept walk, so that its CPU limit stays short
_MOST_SYMBOLS: Final = 16  # whose rows are kept
_ATTEMPTS: Final = 3
_RAISED: Final = re.compile(
    r"(?:line (?P<line>\d{1,6}): )?(?P<kind>[A-Za-z_]\w{0,39}): ?(?P<text>.*)"
)
_KINDS: Final = {  # what errors are called that are none of Python's
    Fault.CPU: "TooMuchProcessor",
    Fault.CRASHED: "Crashed",
    Fault.OUTPUT: "BadOutput",
    Fault.SIGNALS: "BadSignals",
    Fault.UNSTEADY: "Unsteady",
}
_MARKS: Final = frozenset(
    {0.0}
    | {side + a + b for side in (LONG, SHORT) for a in (0.0, HAS_STOP) for b in (0.0, HAS_TARGET)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What both calls know."""

    file: BoxedFile
    boxes: Boxes
    stamp: str
    values: Mapping[str, Number]
    shorts: bool

    def asked(self, bars: SessionBars, columns: Mapping[str, Floats]) -> Asked:
        """Return what the rows of one symbol hold."""
        return Asked(
            values=self.values,
            symbol=bars.symbol,
            columns=list(columns),
            others=list(bars.others),
        )


def fault_of(stamp: str, doing: str, outcome: Outcome) -> BadInput | TryLater:
    """Return the sentence for a job that gave nothing."""
    if outcome.again:
        return TryLater(f"{stamp}: the box did not get through {doing}: {outcome.detail}")
    if outcome.fault is Fault.CODE:
        found = StrategyFailed(f"{stamp}: {doing} failed with {outcome.detail}")
    elif outcome.fault is Fault.UNSTEADY:
        found = StrategyFailed(f"{stamp}: {doing} cannot be trusted: {outcome.detail}")
    else:
        ended = f"the box ended it: {outcome.fault}: {outcome.detail}"
        found = StrategyFailed(f"{stamp}: {ended} ({doing})")
    found.line = _line_of(outcome)
    return found


def _line_of(outcome: Outcome) -> str:
    """Return the line by which a fault of a candidate is counted.

    It is the candidate's own whatever it raised: a class of errors that would be somebody else's
    fault out here, or is only called so, is none of ours in there.
    """
    if outcome.fault is not Fault.CODE:
        kind = _KINDS.get(outcome.fault, "Ended") if outcome.fault is not None else "Ended"
        return line_of(kind, origin=Origin.OWN, text=outcome.detail)
    said = _RAISED.match(outcome.detail)
    if said is None:
        return line_of("Raised", origin=Origin.OWN, text=outcome.detail)
    where = f"strategy.py:{said['line']}" if said["line"] else ""
    for kind in (said["kind"], f"Boxed{said['kind']}", "Raised"):
        line = line_of(kind, origin=Origin.OWN, where=where, text=said["text"])
        seen = error_of(line, 1.0)
        if seen is not None and nature_of(seen) in (Nature.OWN, Nature.HUNGRY):
            break
    return line


@dataclass(frozen=True, slots=True)
class BoxedScan:
    """A scan's call; see `core.strategy.ScanCall` and `core.strategy.ManyAtOnce`."""

    called: Called

    def __call__(self, now: Moment) -> Entry | bool | None:
        """Return the answer to one closed bar."""
        at = _closed(now)
        sides, stops, targets = self.over(at.bars, at.columns, range(at.row, at.row + 1))
        if not sides[0]:
            return None
        stop, target = (None if np.isnan(each[0]) else float(each[0]) for each in (stops, targets))
        return Entry(side=Side.BUY if sides[0] > 0 else Side.SELL, stop=stop, target=target)

    def over(
        self, bars: SessionBars, columns: Mapping[str, Floats], rows: range
    ) -> tuple[Signs, Floats, Floats]:
        """Return side, stop and target for each of some rows; NaN where a level is not given.

        Raises:
            BadInput: the scan failed, or answers differently when it is asked again.
            TryLater: the box failed.
        """
        if not len(rows):
            return np.zeros(0, np.int8), np.zeros(0), np.zeros(0)
        called = self.called
        table = rows_of(bars, columns, rows.stop)
        asked, given = called.asked(bars, columns), table.before(rows.start)
        new = table.of(rows)
        limits = enlarged(called.boxes.limits, len(new) + len(given) // 10)
        walk = called.file.scanning(asked, unasked(given, asked.width), limits)
        first = self._answers(called.boxes.walk(walk, new), bars, table, rows)
        again = self._answers(called.boxes.walk(walk, new), bars, table, rows)
        differ = np.flatnonzero((first != again).any(axis=1))
        if len(differ):
            raise BadInput(
                f"{called.stamp}: its scan cannot be trusted: it answers differently when it is "
                f"asked again, first at {when(bars, rows.start + int(differ[0]))}; a scan may "
                "depend on its bars only"
            )
        return self._read(first, bars, rows)

    def _answers(self, outcome: Outcome, bars: SessionBars, table: Rows, rows: range) -> Floats:
        if outcome.signals is None:
            first, last = when(bars, rows.start), when(bars, rows.stop - 1)
            raise fault_of(self.called.stamp, f"its scan from {first} to {last}", outcome)
        answers: Floats = outcome.signals[table.asked(rows)]
        return answers

    def _read(
        self, answers: Floats, bars: SessionBars, rows: range
    ) -> tuple[Signs, Floats, Floats]:
        marks, stamp = answers[:, 0], self.called.stamp
        if not set(np.unique(marks).tolist()) <= _MARKS:
            raise BadInput(f"{stamp}: its scan's answers are out of form; it must not write itself")
        whole = marks.astype(np.int64)
        short = whole & int(SHORT) > 0
        if short.any() and not self.called.shorts:
            at = when(bars, rows.start + int(np.argmax(short)))
            raise BadInput(
                f"{stamp}: its scan at {at}: it sells short and does not say so; set SHORTS = True"
            )
        sides = (whole & int(LONG) > 0).astype(np.int8) - short.astype(np.int8)
        stops = np.where(whole & int(HAS_STOP), answers[:, 1], np.nan)
        targets = np.where(whole & int(HAS_TARGET), answers[:, 2], np.nan)
        return sides.astype(np.int8), stops, targets


@dataclass(slots=True)
class _Under:
    """An exit's walk over one symbol."""

    bars: SessionBars  # the very ones it is asked about
    asked: Asked
    rows: Rows
    known: int = 0  # own bars that are in the process
    told: int = 0  # rows since it was opened
    kept: Kept | None = None

    def end(self) -> None:
        """End the walk; another is opened with the next question."""
        if self.kept is not None:
            self.kept.end()
        self.kept, self.told = None, 0

    def upcoming(self, row: int, held: Held) -> Floats:
        """Return what is not in the process up to a bar, which is asked about, (n, fields)."""
        rows = unasked(self.rows.of(range(self.known, row + 1)), self.asked.leaving)
        rows[-1, 0] = ASKED
        rows[-1, -HELD:] = _numbers_of(held)
        return rows


class BoxedExit:
    """An exit's call; see `core.strategy.ExitCall`."""

    elsewhere = True  # see `core.strategy.asks_elsewhere`

    def __init__(self, called: Called) -> None:
        self._called = called
        self._lock = threading.Lock()
        self._under: OrderedDict[str, _Under] = OrderedDict()  # by symbol, longest not asked first

    def __call__(self, now: Moment, held: Held) -> bool:
        """Return whether to leave.

        Raises:
            BadInput: the call failed.
            TryLater: the box failed.
        """
        at = _closed(now)
        with self._lock:
            return self._answer(self._under_of(at), at, held)

    def _answer(self, under: _Under, at: ClosedBar, held: Held) -> bool:
        outcome: Outcome | None = None
        for _ in range(_ATTEMPTS):
            self._prepare(under, at.row)
            rows = under.upcoming(at.row, held)
            assert under.kept is not None  # noqa: S101 it was prepared
            answers = under.kept.ask(rows)
            if isinstance(answers, np.ndarray):
                under.known, under.told = at.row + 1, under.told + len(rows)
                return bool(answers[-1, 0])
            under.kept, outcome = None, answers
            if outcome is not None and not outcome.again:
                break
        if outcome is None:
            raise TryLater(f"{self._called.stamp}: its exit gets no box; give them more workers")
        raise fault_of(self._called.stamp, f"its exit at {when(at.bars, at.row)}", outcome)

    def _under_of(self, at: ClosedBar) -> _Under:
        """Return the walk of these bars."""
        under = self._under.pop(at.symbol, None)
        if under is None or under.bars is not at.bars:
            if under is not None:
                under.end()
            rows = rows_of(at.bars, at.columns, len(at.bars))
            under = _Under(at.bars, self._called.asked(at.bars, at.columns), rows)
        self._under[at.symbol] = under
        if len(self._under) > _MOST_SYMBOLS:
            self._under.popitem(last=False)[1].end()
        return under

    def _prepare(self, under: _Under, row: int) -> None:
        """Open a walk in which bar `row` is to come; nothing later is in it."""
        if not 0 <= row - under.known <= _REOPEN_ROWS or under.told > _MOST_ROWS:
            under.end()
        if under.kept is not None:
            return
        called, given = self._called, under.rows.before(row)
        walk = called.file.leaving(
            under.asked,
            unasked(given, under.asked.leaving),
            enlarged(called.boxes.limits, _MOST_ROWS + len(given) // 10),
        )
        under.kept, under.known, under.told = called.boxes.keep(walk), row, 0


def _closed(now: Moment) -> ClosedBar:
    if isinstance(now, ClosedBar):
        return now
    raise BadInput(f"a boxed strategy is asked about closed bars, not about a {type(now).__name__}")


def _numbers_of(held: Held) -> tuple[float, ...]:
    stop = np.nan if held.stop is None else held.stop
    sign = float(held.side.sign)
    return sign, held.entry_price, float(held.bars), held.best, held.worst, stop
