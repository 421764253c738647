"""What is wrong with a file of bars, row by row: the report behind `data check`.

The gate is the one that guards a run; a check adds what only a whole file can show: rows in the
wrong order and bars missing between others. Missing bars are looked for inside regular hours only,
and whole sessions without a row are told as one finding a hole, because a file of two distant days
is no file with a thousand defects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints, from_ns, to_ns
from roboinvest.core.market.continuity import Change
from roboinvest.core.market.findings import (
    BIT,
    QUARANTINE,
    Finding,
    Reason,
    add_counts,
    count_reasons,
)
from roboinvest.core.market.quality import (
    Judgement,
    expected_opens,
    explain,
    judge,
    missing_opens,
    out_of_order,
)
from roboinvest.core.market.rows import Flags, RawRows, exchange_days
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.ports import Calendar
from tools.bars.files import infer_timeframe
from tools.bars.table import BarTable, SeriesKey, Undated, read_table

_SPIKE: Final = BIT[Reason.PRICE_SPIKE]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesReport:
    """The check of one symbol from one source."""

    symbol: str
    source: str
    adjusted: bool
    timeframe: Timeframe | None  # None where the gaps between rows fit no length we know
    rows: int
    quarantined: int  # rows
    first: str  # ISO UTC
    last: str
    counts: Mapping[str, int]  # reason -> rows
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The check of a file."""

    path: Path
    rows: int  # readable or not
    series: tuple[SeriesReport, ...]
    undated: tuple[Finding, ...]  # lines without a readable time

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return every finding, series by series, each by time."""
        inside = (finding for each in self.series for finding in each.findings)
        return (*inside, *self.undated)

    @property
    def quarantined(self) -> int:
        """Return how many rows no run would use."""
        return sum(each.quarantined for each in self.series) + len(self.undated)

    @property
    def counts(self) -> dict[str, int]:
        """Return reason -> rows."""
        total: dict[str, int] = {}
        for each in self.series:
            add_counts(total, each.counts)
        if self.undated:
            add_counts(total, {Reason.UNREADABLE.value: len(self.undated)})
        return dict(sorted(total.items()))

    def as_dict(self, most: int | None = None) -> dict[str, object]:
        """Return the report as JSON values, with the first `most` findings."""
        timeframes = {str(each.timeframe) for each in self.series if each.timeframe}
        return {
            "path": str(self.path),
            "ok": not self.findings,
            "symbols": sorted({each.symbol for each in self.series}),
            "sources": sorted({each.source for each in self.series if each.source}),
            "timeframes": sorted(timeframes),
            "rows": self.rows,
            "quarantined": self.quarantined,
            "counts": self.counts,
            "series": [_series_dict(each) for each in self.series],
            "findings": [finding_dict(each) for each in self.findings[:most]],
            "findings_total": len(self.findings),
        }


def finding_dict(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON values."""
    return {
        "symbol": finding.symbol,
        "ts": finding.ts.isoformat() if finding.ts else None,
        "reason": finding.reason.value,
        "detail": finding.detail,
        "quarantined": finding.quarantined,
    }


def _series_dict(each: SeriesReport) -> dict[str, object]:
    return {
        "symbol": each.symbol,
        "source": each.source,
        "adjusted": each.adjusted,
        "timeframe": each.timeframe.value if each.timeframe else None,
        "rows": each.rows,
        "quarantined": each.quarantined,
        "first": each.first,
        "last": each.last,
        "counts": dict(sorted(each.counts.items())),
    }


def check_file(
    path: Path,
    *,
    calendar: Calendar,
    symbol: str | None = None,
    actions: Sequence[CorporateAction] = (),
    mapping: Mapping[str, str] | None = None,
) -> CheckReport:
    """Return what is wrong with a file of bars.

    `symbol` names what a file without a symbol column holds; `actions` explain the jumps they
    make. Sources and raw or adjusted rows of one symbol are checked apart.

    Raises:
        BadInput: there is no such file, or it is no file of bars.
    """
    table = read_table(path, mapping=mapping, symbol=symbol)
    return CheckReport(
        path=path,
        rows=table.rows,
        series=tuple(
            check_series(key, rows, calendar=calendar, actions=actions)
            for key, rows in sorted(table.series.items())
        ),
        undated=_undated(table),
    )


def check_series(
    key: SeriesKey, rows: RawRows, *, calendar: Calendar, actions: Sequence[CorporateAction]
) -> SeriesReport:
    """Return what is wrong with one series; `rows` in the order of the file."""
    timeframe = infer_timeframe(rows.in_order().ts)
    judged = _judge_as_a_run(
        rows,
        timeframe,
        calendar,
        actions=[action for action in actions if action.symbol == key.symbol],
    )
    ts = judged.rows.ts
    extra = out_of_order(key.symbol, rows)
    if timeframe is not None:
        extra += _missing(key.symbol, ts, timeframe, calendar)
    counts = count_reasons(judged.verdicts)
    for finding in extra:
        add_counts(counts, {finding.reason.value: 1})
    found = [*explain(key.symbol, judged), *extra]
    return SeriesReport(
        symbol=key.symbol,
        source=key.source,
        adjusted=key.adjusted,
        timeframe=timeframe,
        rows=len(rows),
        quarantined=int(np.count_nonzero(judged.verdicts & QUARANTINE)),
        first=from_ns(ts[0]).isoformat(),
        last=from_ns(ts[-1]).isoformat(),
        counts=counts,
        findings=tuple(sorted(found, key=lambda each: (each.ts, each.reason))),
    )


def _judge_as_a_run(
    rows: RawRows,
    timeframe: Timeframe | None,
    calendar: Calendar,
    *,
    actions: Sequence[CorporateAction],
) -> Judgement:
    """Return verdicts in which regular hours are compared with regular hours, as in a run.

    Other rows are compared with all that came before them, and their jumps are let pass: prints
    before the open often carry yesterday's price over a split.
    """
    is_index = bool(np.isnan(rows.values[4]).all())
    whole = judge(rows, actions=actions, is_index=is_index)
    regular = np.flatnonzero(_regular(whole.rows.ts, timeframe, calendar))
    if len(regular) in (0, len(rows)):
        return whole
    run = judge(whole.rows.take(regular), actions=actions, is_index=is_index)
    verdicts = whole.verdicts & ~np.uint16(BIT[Reason.UNEXPLAINED_JUMP])
    verdicts[regular] = run.verdicts
    compared = {at: before for at, before in whole.compared.items() if verdicts[at] & _SPIKE}
    compared |= {int(regular[at]): before for at, before in run.compared.items()}
    changes = tuple(
        Change(index=int(regular[change.index]), suspension=change.suspension)
        for change in run.changes
    )
    return replace(whole, verdicts=verdicts, changes=changes, compared=compared)


def _regular(ts: Ints, timeframe: Timeframe | None, calendar: Calendar) -> Flags:
    """Return which rows open in regular hours; of day bars, or of an unknown length, all do."""
    if timeframe is None or timeframe is Timeframe.DAY or not len(ts):
        return np.ones(len(ts), np.bool_)
    first, last = (date.fromordinal(int(day)) for day in exchange_days(ts[[0, -1]]))
    sessions = calendar.sessions(first, last)
    opens = np.array([expected_opens(session, timeframe)[0] for session in sessions], np.int64)
    closes = np.array([to_ns(session.closes_at) for session in sessions], np.int64)
    place = np.searchsorted(opens, ts, side="right") - 1
    regular: Flags = (place >= 0) & (ts < np.append(closes, 0)[place])
    return regular


def _undated(table: BarTable) -> tuple[Finding, ...]:
    def detail(line: Undated) -> str:
        return f"line {line.line}: {line.text}" if line.line else line.text

    return tuple(
        Finding(
            symbol=line.symbol,
            ts=None,
            reason=Reason.UNREADABLE,
            detail=detail(line),
            quarantined=True,
        )
        for line in table.undated
    )


def _missing(symbol: str, ts: Ints, timeframe: Timeframe, calendar: Calendar) -> list[Finding]:
    """Return the bars that the calendar expects between the first row and the last."""
    found: list[Finding] = []
    hole: list[Session] = []
    days = exchange_days(ts)
    first, last = date.fromordinal(int(days[0])), date.fromordinal(int(days[-1]))
    for session in calendar.sessions(first, last):
        begin, end = np.searchsorted(days, (session.day.toordinal(), session.day.toordinal() + 1))
        inside = ts[begin:end]
        if not len(inside):
            hole.append(session)
            continue
        found.extend(_hole(symbol, hole))
        hole = []
        found.extend(_gaps(symbol, session, inside, timeframe))
    return found


def _gaps(symbol: str, session: Session, ts: Ints, timeframe: Timeframe) -> list[Finding]:
    begins, ends = expected_opens(session, timeframe)[0], to_ns(session.closes_at)
    if timeframe is not Timeframe.DAY and not ((ts >= begins) & (ts < ends)).any():
        return []  # a session of extended hours only is no session of this symbol
    return [
        Finding(
            symbol=symbol,
            ts=from_ns(opens),
            reason=Reason.MISSING_MINUTE,
            detail=f"no {timeframe} bar in regular hours",
            quarantined=False,
        )
        for opens in missing_opens(session, timeframe, ts).tolist()
    ]


def _hole(symbol: str, sessions: Sequence[Session]) -> list[Finding]:
    if not sessions:
        return []
    first, last = sessions[0].day, sessions[-1].day
    span = f"on {first}" if first == last else f"in {len(sessions)} sessions, {first} to {last}"
    return [
        Finding(
            symbol=symbol,
            ts=sessions[0].opens_at,
            reason=Reason.MISSING_MINUTE,
            detail=f"no rows {span}",
            quarantined=False,
        )
    ]
