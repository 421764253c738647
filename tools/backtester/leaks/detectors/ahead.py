"""Look-ahead: what was known at a bar must not hang on the bars after it.

The strategy is asked about tapes that share their past and differ after it: they end there, or go
on in other ways (T3). A tape is as good as another for this, so most of the asking is done on
short stretches of the run, where it is cheap enough to visit many days; the whole run is cut too,
for strategies that wait for a long one.

Each detector stops at its first suspicion. A strategy that fails on an invented future is not
accused of anything; one that fails where the real tape just ends is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tools.backtester.leaks.detectors.cuts import Stretch, stretches, walk, whole_cuts
from tools.backtester.leaks.effort import Effort
from tools.backtester.leaks.findings import Detector, Finding, Verdict, clean, not_applicable
from tools.backtester.leaks.known import Known, Rows, played_differ, wishes_differ
from tools.backtester.leaks.sentences import accuse, fails
from tools.backtester.leaks.tapes import Going, Tape, between, closed, going_on, until
from tools.backtester.leaks.trial import Failed, Trial, asks_on_exit

_ASKED_BACK: Final = 400  # rows before a cut of the whole run in which a call is asked
_TOGETHER: Final = 3  # symbols that a stretch holds at once where each stands alone
_KINDS: Final = {
    Going.MIRRORED: Detector.FUTURE,
    Going.SCALED: Detector.SCALE,
    Going.SHUFFLED: Detector.FUTURE,
    Going.EXTREME: Detector.SCALE,
    Going.THINNED: Detector.FUTURE,
    Going.LONGER: Detector.FUTURE,
}
_LOOKING: Final = (Detector.PREFIX, Detector.FUTURE, Detector.SCALE, Detector.PEERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A run or a piece of one, and what the strategy made of it."""

    tape: Tape
    known: Known
    asked: int  # row from which decisions were asked for


@dataclass(slots=True, kw_only=True)
class Hunt:
    """The search for the first look-ahead of each kind."""

    trial: Trial
    base: Known  # of the whole run
    warm_up: int
    calls: bool  # the scan is a call
    exit_calls: bool
    effort: Effort
    rng: np.random.Generator
    found: dict[Detector, Finding] = field(default_factory=dict)
    cuts: int = 0
    played_before: int = 0  # bars played before the hunt began

    def whole(self) -> None:
        """Cut the whole run, as often as the effort allows."""
        rows = sum(map(len, self.trial.tape.values()))
        wanted = max(2, min(self.effort.whole, self.effort.row_budget // (4 * max(rows, 1))))
        kinds = tuple(_KINDS)
        for number, (symbol, row) in enumerate(self._whole_cuts(wanted)):
            self.cuts += 1
            instant = int(self.trial.tape[symbol].closes_at[row])
            asked = self._asked(instant) if self.calls else 0
            base = Base(tape=self.trial.tape, known=self.base, asked=asked)
            self._ends(base, instant, self.trial.symbols)
            for kind in (Going.MIRRORED, kinds[1 + number % (len(kinds) - 1)]):
                self._goes_on(base, instant, kind, self.trial.symbols)
            self._peers_go_on(base, instant, symbol)

    def in_stretches(self) -> None:
        """Cut short pieces of the run, over its length and over its symbols."""
        pieces = self._pieces()
        played = self.effort.stretches_called if self.exit_calls else self.effort.played
        for number, piece in enumerate(pieces):
            tape = self._tape_of(piece)
            known = self.trial.tried(
                tape, symbols=(piece.symbol,), from_row=piece.asked - piece.first
            )
            if isinstance(known, Failed):
                continue
            base = Base(tape=tape, known=known, asked=piece.asked - piece.first)
            for row in piece.cuts:
                self._cut_piece(base, piece, row, number)
            if number == 0:
                for row in walk(piece, self.effort.walked):
                    instant = int(self.trial.tape[piece.symbol].closes_at[row])
                    self._ends(base, instant, (piece.symbol,))
            if number < played and self._may_play(tape, number):
                self._played(tape, piece)

    def played_whole(self, times: int) -> None:
        """Compare fills and cash of the whole run with those of a run that ends earlier."""
        ours = self.base.played
        if ours is None or not self._may_play(self.trial.tape, 2):
            return
        for symbol, row in self._whole_cuts(times)[:times]:
            instant = int(self.trial.tape[symbol].closes_at[row])
            theirs = self.trial.played(until(self.trial.tape, instant))
            if not isinstance(theirs, Failed):
                known = {name: closed(bars, instant) for name, bars in self.trial.tape.items()}
                found = played_differ(ours, theirs, known, instant)
                if found is not None:
                    self._accuse(
                        Detector.PREFIX,
                        accuse(self.trial, Detector.PREFIX, found, self.trial.tape, instant, None),
                    )

    def findings(self) -> tuple[Finding, ...]:
        """Return what was found, and what was not."""
        said: list[Finding] = []
        for detector in _LOOKING:
            if detector in self.found:
                said.append(self.found[detector])
            elif detector is Detector.PEERS and len(self.trial.tape) < 2:
                said.append(not_applicable(detector, "the run has one symbol"))
            elif not self.cuts:
                said.append(not_applicable(detector, "there are too few bars to cut the run"))
            else:
                said.append(clean(detector, f"{self.cuts} cuts changed nothing before them"))
        return tuple(said)

    def _cut_piece(self, base: Base, piece: Stretch, row: int, number: int) -> None:
        self.cuts += 1
        instant = int(self.trial.tape[piece.symbol].closes_at[row])
        self._ends(base, instant, (piece.symbol,))
        kinds = tuple(_KINDS)
        for at in range(self.effort.worlds):
            self._goes_on(base, instant, kinds[(at and number + at) % len(kinds)], (piece.symbol,))
        self._peers_go_on(base, instant, piece.symbol)

    def _ends(self, base: Base, instant: int, symbols: tuple[str, ...]) -> None:
        """Ask again where the tape ends at `instant`."""
        if Detector.PREFIX in self.found:
            return
        tape = until(base.tape, instant)
        if not all(map(len, tape.values())):
            return  # another symbol has not begun yet; few honest strategies think of that
        theirs = self.trial.tried(tape, symbols=symbols, from_row=base.asked)
        if isinstance(theirs, Failed):
            self._accuse(
                Detector.PREFIX,
                fails(self.trial, Detector.PREFIX, symbols[0], instant, theirs.text),
            )
        else:
            self._compare(Detector.PREFIX, base, theirs, instant, symbols, None)

    def _goes_on(self, base: Base, instant: int, how: Going, symbols: tuple[str, ...]) -> None:
        """Ask again where the tape goes on otherwise after `instant`."""
        detector = _KINDS[how]
        if detector in self.found:
            return
        other = going_on(base.tape, instant, how, self.rng)
        theirs = self.trial.tried(other, symbols=symbols, from_row=base.asked)
        if not isinstance(theirs, Failed):
            self._compare(detector, base, theirs, instant, symbols, how)

    def _peers_go_on(self, base: Base, instant: int, symbol: str) -> None:
        """Ask again where only the other symbols go on otherwise."""
        if Detector.PEERS in self.found or len(base.tape) < 2:
            return
        how = Going.MIRRORED if self.cuts % 2 else Going.THINNED
        other = going_on(base.tape, instant, how, self.rng, but=symbol)
        theirs = self.trial.tried(other, symbols=(symbol,), from_row=base.asked)
        if not isinstance(theirs, Failed):
            self._compare(Detector.PEERS, base, theirs, instant, (symbol,), how)

    def _compare(
        self,
        detector: Detector,
        base: Base,
        theirs: Known,
        instant: int,
        symbols: tuple[str, ...],
        how: Going | None,
    ) -> None:
        for symbol in symbols:
            rows = Rows(first=base.asked, known=closed(base.tape[symbol], instant))
            found = wishes_differ(base.known.signals[symbol], theirs.signals[symbol], symbol, rows)
            if found is not None:
                self._accuse(detector, accuse(self.trial, detector, found, base.tape, instant, how))
                return

    def _may_play(self, tape: Tape, number: int) -> bool:
        """Return whether the effort allows another piece to be played; the first two always."""
        rows = sum(map(len, tape.values()))
        return number < 2 or self.trial.played_rows - self.played_before + rows < (
            self.effort.played_rows
        )

    def _played(self, tape: Tape, piece: Stretch) -> None:
        """Compare fills and cash where a piece ends, and where it goes on otherwise."""
        ours = self.trial.played(tape)
        if isinstance(ours, Failed):
            return
        for row in piece.cuts[: 3 if self.exit_calls else 1]:
            instant = int(self.trial.tape[piece.symbol].closes_at[row])
            known = {symbol: closed(bars, instant) for symbol, bars in tape.items()}
            kinds = (None, Going.MIRRORED) if self.exit_calls else (None,)
            for how in kinds:
                detector = Detector.PREFIX if how is None else Detector.FUTURE
                if detector in self.found:
                    continue
                other = (
                    until(tape, instant) if how is None else going_on(tape, instant, how, self.rng)
                )
                theirs = self.trial.played(other)
                if isinstance(theirs, Failed):
                    continue
                found = played_differ(ours, theirs, known, instant)
                if found is not None:
                    self._accuse(detector, accuse(self.trial, detector, found, tape, instant, how))

    def _accuse(self, detector: Detector, finding: Finding) -> None:
        if finding.verdict is Verdict.SUSPECTED:
            self.found.setdefault(detector, finding)

    def _asked(self, instant: int) -> int:
        return max(
            0,
            min(closed(bars, instant) for bars in self.trial.tape.values()) - _ASKED_BACK,
        )

    def _whole_cuts(self, wanted: int) -> list[tuple[str, int]]:
        """Return symbols and rows, every symbol in turn."""
        found: list[tuple[str, int]] = []
        for symbol, signals in self.base.signals.items():
            bars = self.trial.tape[symbol]
            first = max(self.trial.first_row(bars), self.warm_up)
            share = max(1, wanted // len(self.trial.tape))
            rows = whole_cuts(bars, signals, first, share, self.rng)
            found += [(symbol, row) for row in rows]
        return [found[at] for at in self.rng.permutation(len(found))]

    def _pieces(self) -> list[Stretch]:
        """Return the pieces of all symbols, taking turns."""
        each = max(2, self.effort.stretches // max(len(self.trial.tape), 1))
        rows: list[list[Stretch]] = []
        for symbol in self.trial.symbols:
            bars = self.trial.tape[symbol]
            first = self.trial.first_row(bars)
            signals = self.base.signals[symbol]
            rows.append(
                list(
                    stretches(bars, signals, first, self.warm_up, each, self.effort.cuts, self.rng)
                )
            )
        longest = max(map(len, rows), default=0)
        return [row[at] for at in range(longest) for row in rows if at < len(row)]

    def _tape_of(self, piece: Stretch) -> Tape:
        bars = self.trial.tape[piece.symbol]
        together = self.trial.strategy.symbols > 1 or len(self.trial.tape) <= _TOGETHER
        tape = self.trial.tape if together else {piece.symbol: bars}
        return between(tape, int(bars.ts[piece.first]), int(bars.closes_at[piece.last - 1]))


def look_ahead(
    trial: Trial, base: Known, effort: Effort, rng: np.random.Generator
) -> tuple[Finding, ...]:
    """Return a finding for each way of looking ahead."""
    plan = trial.plan()
    hunt = Hunt(
        trial=trial,
        base=base,
        warm_up=plan.warm_up,
        calls=callable(plan.scan),
        exit_calls=asks_on_exit(plan),
        effort=effort,
        rng=rng,
        played_before=trial.played_rows,
    )
    hunt.whole()
    hunt.in_stretches()
    if hunt.exit_calls or effort.worlds > 2:
        hunt.played_whole(2)
    return hunt.findings()
