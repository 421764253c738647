"""The gate between a vendor's rows and everything that decides.

A row's verdict depends on itself and on earlier rows alone, so that a decision made at an instant
is never undone by data that came later, and a replay judges as a live run does: `LiveGate` calls
the same function with one row at a time. Rows are put in order first, so that the order of a file
decides nothing. Bad rows are set aside with a reason and never mended.

Deliberately absent: a rule against large moves inside a session that stay below the spike bound;
markets make them, and the risk limits are there for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints, from_ns, to_ns
from roboinvest.core.market.continuity import Change, Columns, Continuity, Walk
from roboinvest.core.market.findings import (
    BIT,
    QUARANTINE,
    Finding,
    Reason,
    Verdicts,
    is_good,
    reasons_of,
)
from roboinvest.core.market.rows import Flags, RawRows, exchange_days
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Bar, CorporateAction, Timeframe

_NOISE: Final = 1e-6  # relative; float32 prices are off by about 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Rows in order with a verdict each."""

    rows: RawRows
    verdicts: Verdicts
    state: Continuity  # what to judge the next rows with
    changes: tuple[Change, ...]  # suspensions that began or ended; `index` points into `rows`
    compared: dict[int, float] = field(default_factory=dict)  # spike -> the close it was held to

    @property
    def good(self) -> Flags:
        """Return which rows may be used."""
        return is_good(self.verdicts)


@np.errstate(over="ignore", invalid="ignore")  # absurd prices are judged, not reckoned with
def judge(
    rows: RawRows,
    *,
    start: Continuity | None = None,
    actions: Sequence[CorporateAction] = (),
    is_index: bool = False,
) -> Judgement:
    """Return the verdict on every row of one symbol, given what came before.

    `actions` are this symbol's; those before `start` do no harm. An index has no volume to remark
    on and no shares to split, so that a jump of its level is a move.
    """
    rows = rows.in_order()
    in_force = sorted(actions, key=lambda action: action.ex_date)
    verdicts = _judge_alone(rows)
    _judge_copies(rows, verdicts)
    sound = np.flatnonzero(verdicts == 0)
    walk = Walk(_columns(rows, sound), start or Continuity(), in_force, can_split=not is_index)
    walk.run()
    verdicts[sound[walk.jumped]] = BIT[Reason.UNEXPLAINED_JUMP]
    compared = {int(sound[place]): before for place, before in walk.spikes}
    verdicts[list(compared)] = BIT[Reason.PRICE_SPIKE]
    _remark(rows, verdicts, has_volume=not is_index)
    return Judgement(
        rows=rows,
        verdicts=verdicts,
        state=walk.state,
        changes=tuple(
            Change(index=int(sound[change.index]), suspension=change.suspension)
            for change in walk.changes
        ),
        compared=compared,
    )


def _judge_alone(rows: RawRows) -> Verdicts:
    """Return what is wrong with each row by itself; at most one reason a row."""
    opened, high, low, close, volume = rows.values
    verdicts = np.zeros(len(rows), np.uint16)
    if _all_sound(rows):
        return verdicts
    prices = rows.values[:4]
    for reason, wrong in (
        (Reason.UNREADABLE, rows.unreadable),
        (Reason.NOT_A_NUMBER, ~np.isfinite(prices).all(axis=0) | np.isinf(volume)),
        (Reason.NON_POSITIVE_PRICE, np.minimum.reduce((opened, high, low, close)) <= 0),
        (Reason.NEGATIVE_VOLUME, volume < 0),
        (Reason.HIGH_BELOW_LOW, high < low),
    ):
        verdicts[wrong & (verdicts == 0)] = BIT[reason]
    return verdicts


def _all_sound(rows: RawRows) -> bool:
    """Return whether no row has a fault of its own, the usual case, with little work."""
    if not len(rows) or rows.unreadable.any():
        return not len(rows)
    _, high, low, _, volume = rows.values
    whole = rows.values[:4].min() > 0 and np.isfinite(rows.values.max())  # NaN fails both
    return bool(whole and volume.min() >= 0 and not (high < low).any())


def _judge_copies(rows: RawRows, verdicts: Verdicts) -> None:
    """Keep one of equal rows, and none of rows that differ at the same instant."""
    if (rows.ts[1:] > rows.ts[:-1]).all():
        return
    copies = rows.same_as_before() & (verdicts == 0)
    verdicts[copies] = BIT[Reason.DUPLICATE]
    left = np.flatnonzero(verdicts == 0)
    again = np.flatnonzero(rows.ts[left][1:] == rows.ts[left][:-1])
    conflicting = left[np.union1d(again, again + 1)]
    verdicts[conflicting] = BIT[Reason.CONFLICTING_DUPLICATE]


def _columns(rows: RawRows, sound: Ints) -> Columns:
    if len(sound) < len(rows):
        rows = rows.take(sound)
    opened, high, low, close, _ = rows.values
    return Columns(
        ts=rows.ts,
        day=exchange_days(rows.ts),
        open=opened,
        close=close,
        top=np.maximum(np.maximum(high, low), np.maximum(opened, close)),
        bottom=np.minimum(np.minimum(high, low), np.minimum(opened, close)),
    )


def _remark(rows: RawRows, verdicts: Verdicts, *, has_volume: bool) -> None:
    """Add the remarks to good rows; a row that was set aside needs none."""
    good = verdicts == 0
    opened, high, low, close, volume = rows.values
    over, under = high * (1 + _NOISE), low * (1 - _NOISE)
    outside = (np.maximum(opened, close) > over) | (np.minimum(opened, close) < under)
    verdicts[good & outside] |= BIT[Reason.OUTSIDE_RANGE]
    if has_volume:
        verdicts[good & ~(volume > 0)] |= BIT[Reason.ZERO_VOLUME]


def explain(symbol: str, judged: Judgement) -> list[Finding]:
    """Return a finding for each bad or remarkable row, by time.

    A suspension is one finding, at the row where it begins, which says how many rows it costs.
    """
    began = {change.index: change for change in judged.changes if change.suspension is not None}
    jumped = np.flatnonzero(judged.verdicts & BIT[Reason.UNEXPLAINED_JUMP])
    found: list[Finding] = []
    for index in np.flatnonzero(judged.verdicts).tolist():
        verdict = int(judged.verdicts[index])
        if verdict & BIT[Reason.UNEXPLAINED_JUMP] and index not in began:
            continue
        found.extend(
            Finding(
                symbol=symbol,
                ts=from_ns(judged.rows.ts[index]),
                reason=reason,
                detail=_detail(judged, index, reason, symbol=symbol),
                quarantined=bool(BIT[reason] & QUARANTINE),
            )
            for reason in reasons_of(verdict)
        )
    return [_with_cost(finding, began, jumped, judged.rows.ts) for finding in found]


def _with_cost(finding: Finding, began: dict[int, Change], jumped: Ints, ts: Ints) -> Finding:
    """Say how many rows a suspension sets aside."""
    if finding.reason is not Reason.UNEXPLAINED_JUMP or finding.ts is None:
        return finding
    start = int(np.searchsorted(ts, to_ns(finding.ts)))
    later = [index for index in began if index > start]
    end = min(later, default=len(ts))
    cost = int(np.count_nonzero((jumped >= start) & (jumped < end)))
    return replace(finding, detail=f"{finding.detail} Rows set aside: {cost}.")


def _detail(judged: Judgement, index: int, reason: Reason, *, symbol: str) -> str:
    """Return the figures behind one verdict."""
    opened, high, low, close, volume = (float(value) for value in judged.rows.values[:, index])
    line = int(judged.rows.line[index])
    prices = f"open {opened:g}, high {high:g}, low {low:g}, close {close:g}"
    before = judged.compared.get(index)
    if reason is Reason.PRICE_SPIKE and before is not None:
        text = f"{prices}, against a last good close of {before:g}"
    elif reason is Reason.UNEXPLAINED_JUMP:
        text = next(
            change.suspension.sentence(symbol)
            for change in judged.changes
            if change.index == index and change.suspension is not None
        )
    elif reason is Reason.UNREADABLE:
        text = "a cell holds no number"
    elif reason in (Reason.ZERO_VOLUME, Reason.NEGATIVE_VOLUME):
        text = "no volume given" if np.isnan(volume) else f"volume {volume:g}"
    else:
        text = prices
    return f"line {line}: {text}" if line else text


def out_of_order(symbol: str, rows: RawRows) -> list[Finding]:
    """Return a finding for both rows of each pair that stands in the wrong order.

    Rows that run from newest to oldest throughout are a habit of some vendors, not a defect.
    """
    steps = np.diff(rows.ts)
    if not (steps < 0).any() or (steps <= 0).all():
        return []
    found: list[Finding] = []
    for index in np.flatnonzero(steps < 0).tolist():
        earlier, later = from_ns(rows.ts[index + 1]), from_ns(rows.ts[index])
        detail = f"{later.isoformat()} stands before {earlier.isoformat()}; sorted"
        found.extend(
            Finding(
                symbol=symbol,
                ts=ts,
                reason=Reason.OUT_OF_ORDER,
                detail=detail,
                quarantined=False,
            )
            for ts in (earlier, later)
        )
    return found


def expected_opens(session: Session, timeframe: Timeframe) -> Ints:
    """Return when the bars of a session open, ns since the epoch; a day bar counts as one."""
    opens, closes = to_ns(session.opens_at), to_ns(session.closes_at)
    if timeframe is Timeframe.DAY:
        return np.array([opens])
    step = _step_ns(timeframe)
    return np.arange(opens - opens % step, closes, step)


def missing_opens(session: Session, timeframe: Timeframe, present: Ints) -> Ints:
    """Return the expected opens in whose bar no row opens, good or bad.

    Hour bars stamped at half past fill the hours they begin in; the hours are not missing.
    """
    expected = expected_opens(session, timeframe)
    if timeframe is Timeframe.DAY:
        return expected[: 0 if len(present) else 1]
    return expected[~np.isin(expected, present - present % _step_ns(timeframe))]


def _step_ns(timeframe: Timeframe) -> int:
    return int(timeframe.length.total_seconds()) * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the live gate says of one bar."""

    good: bool
    findings: tuple[Finding, ...]
    suspended: str | None  # why the symbol is not trusted, after this bar


@dataclass(frozen=True, slots=True, kw_only=True)
class _Newest:
    """The newest bar of a symbol that was judged."""

    ts: int  # ns since the epoch
    values: Floats  # (5,), see FIELDS of core.market.bars
    good: bool

    def bars_the_way(self, ts: int) -> bool:
        """Return whether a bar at `ts` comes too late; a bad bar may be followed by its mend."""
        return ts < self.ts or (ts == self.ts and self.good)


class LiveGate:
    """The same rules for bars that arrive one by one."""

    def __init__(self, actions: Sequence[CorporateAction] = ()) -> None:
        """Start with the actions known so far, of any symbol."""
        self._actions = tuple(actions)
        self._states: dict[str, Continuity] = {}
        self._newest: dict[str, _Newest] = {}

    def judge(self, bar: Bar) -> Verdict:
        """Return the verdict on a bar; one that opens before the newest judged is late."""
        values = np.array([bar.open, bar.high, bar.low, bar.close, bar.volume])
        ts = to_ns(bar.ts)
        newest = self._newest.get(bar.symbol)
        if newest is not None and newest.bars_the_way(ts):
            return self._refuse(bar, newest, values)
        judged = judge(
            RawRows.of(np.array([ts]), values.reshape(5, 1)),
            start=self._states.get(bar.symbol),
            actions=[action for action in self._actions if action.symbol == bar.symbol],
        )
        self._states[bar.symbol] = judged.state
        good = bool(judged.good[0])
        self._newest[bar.symbol] = _Newest(ts=ts, values=values, good=good)
        return Verdict(
            good=good,
            findings=tuple(explain(bar.symbol, judged)),
            suspended=self._suspension(bar.symbol),
        )

    def _refuse(self, bar: Bar, newest: _Newest, values: Floats) -> Verdict:
        if to_ns(bar.ts) < newest.ts:
            reason = Reason.LATE
        elif np.array_equal(newest.values, values, equal_nan=True):
            reason = Reason.DUPLICATE
        else:
            reason = Reason.CONFLICTING_DUPLICATE
        finding = Finding(
            symbol=bar.symbol,
            ts=bar.ts,
            reason=reason,
            detail=f"arrived after the bar of {from_ns(newest.ts).isoformat()} was judged",
            quarantined=True,
        )
        return Verdict(good=False, findings=(finding,), suspended=self._suspension(bar.symbol))

    def _suspension(self, symbol: str) -> str | None:
        state = self._states.get(symbol)
        if state is None or state.suspension is None:
            return None
        return state.suspension.sentence(symbol)
