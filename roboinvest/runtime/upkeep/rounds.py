"""One round through the governance file: prove the log, sweep, and see what waits. Blocking.

Every step is tried by itself, and what goes wrong with one is told and tried again at the next
round: nothing here is needed to trade. The file is opened when it is there, and anew after any
trouble or when another one lies in its place; it is never made: a house in which nothing was ever
proposed has none. Nothing is swept while the log is broken or unproven: time agrees to nothing.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from roboinvest.core.approvals import InboxRules
from roboinvest.core.audit import Break, ChainCheck
from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.core.ports import Clock
from roboinvest.core.revisions.gates import Gate, Standard
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.core.revisions.lifecycle import Actor, State
from roboinvest.core.revisions.storm import Storm, storm
from roboinvest.runtime.governance.anchors import anchors_beside, read_anchors
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.governance.verify import verify
from roboinvest.runtime.revisions.approvals import InboxApprovals
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.opening import Revisions, revisions_on
from roboinvest.runtime.revisions.schema import SCHEMAS
from roboinvest.runtime.upkeep.standing import Seen

PATIENCE_S: Final = 2.0  # that a write of the daemon waits for those of commands
PAUSE_S: Final = 0.005  # for other threads, every few hundred rows of the log
_TROUBLE: Final = (RoboInvestError, OSError, sqlite3.Error, ValueError)
ResultT = TypeVar("ResultT")
Todays = Callable[[Standard], Standard]  # from what a gate was to what it is in this program
UPGRADED: Final = Actor(name="daemon", reason="this program judges anew", is_person=False)
Mark = tuple[int, str, int]  # rows, digest of the last one, bytes of anchors


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that is open, and which one it is."""

    file: GovernanceFile
    inbox: Inbox
    revisions: Revisions
    identity: tuple[int, int]


@dataclass(slots=True)
class _Steps:
    """Tries steps, and keeps what went wrong with each."""

    troubles: dict[str, str] = field(default_factory=dict)

    def tried(self, name: str, work: Callable[[], ResultT]) -> ResultT | None:
        """Return what a step came to; None where it failed."""
        try:
            return work()
        except _TROUBLE as error:
            self.troubles.setdefault(name, " ".join(str(error).split()) or type(error).__name__)
            return None


class Rounds:
    """Goes round, in one thread at a time."""

    def __init__(
        self,
        data: Path,
        clock: Clock,
        *,
        rules: InboxRules,
        limits: GovernorLimits,
        todays: Todays = lambda known: known,
        opens: Callable[..., GovernanceFile] = GovernanceFile.open,
    ) -> None:
        """Take where the file lies, or will.

        Args:
            data: the folder of it.
            clock: the house's.
            rules: of the inbox.
            limits: of the governor.
            todays: what a gate is in this program, so that evidence of another one ends.
            opens: does what `GovernanceFile.open` does.
        """
        self._todays = todays
        self._judged_by: set[tuple[int, int]] = set()  # files in which the gates are today's
        self._opens = opens
        self._data = data
        self._path = data / FILE_NAME
        self._clock = clock
        self._rules = rules
        self._limits = limits
        self._open: _Opened | None = None
        self._chain: ChainCheck | None = None  # the last verification of the file at hand
        self._mark: Mark | None = None  # where the log stood then
        self._hurried = threading.Event()

    def hurry(self, *, is_over: bool = True) -> None:
        """End a verification that is under way, or let there be some again; for any thread."""
        if is_over:
            self._hurried.set()
        else:
            self._hurried.clear()

    def close(self) -> None:
        """Let go of the file."""
        opened, self._open, self._chain = self._open, None, None
        if opened is not None:
            opened.file.close()

    def go(self, *, whole: bool) -> Seen:
        """Return what a round found; `whole`: every row of the log is verified, not new ones."""
        steps = _Steps()
        found = steps.tried("file", lambda: (self._opened(),))
        if found is None:
            return Seen(troubles=steps.troubles)
        (opened,) = found
        if opened is None:
            return Seen(chain=self._absent(), proposals=(), quarantined=())
        seen = self._gone_round(opened, steps, whole=whole)
        if steps.troubles:
            steps.tried("close", self.close)  # what is wrong may be the connection
        return seen

    def _gone_round(self, opened: _Opened, steps: _Steps, *, whole: bool) -> Seen:
        swept: tuple[str, ...] | None = ()
        settled: int | None = 0
        chain = steps.tried("audit", lambda: self._proved(opened, whole=whole))
        if chain is not None and chain.is_whole:
            steps.tried("anchors", opened.file.anchor_tail)
            swept = steps.tried("folders", opened.revisions.store.sweep)
            steps.tried("standards", lambda: self._set_standards(opened))
            settled = steps.tried("inbox", opened.inbox.sweep)
        proposals = steps.tried("inbox", opened.inbox.listed)
        steps.tried("unreadable", lambda: _require_readable(opened.inbox))
        books = steps.tried("revisions", lambda: opened.revisions.store.read_book(self._of_books))
        return Seen(
            chain=chain,
            unanchored=opened.file.unanchored,
            proposals=proposals,
            quarantined=None if books is None else books[0],
            storm=None if books is None else books[1],
            troubles=steps.troubles,
            swept=swept or (),
            settled=settled or 0,
        )

    def _opened(self) -> _Opened | None:
        """Return the file that lies there now, open; None where there is none."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self.close()
            return None
        identity = (found.st_dev, found.st_ino)
        if self._open is not None and self._open.identity == identity:
            return self._open
        self.close()
        file = self._opens(self._path, self._clock, schemas=SCHEMAS, patience_s=PATIENCE_S)
        inbox = Inbox(file, self._rules, self._clock)
        approvals = InboxApprovals(inbox)
        revisions = revisions_on(file, self._data, approvals=approvals, limits=self._limits)
        self._open = _Opened(file, inbox, revisions, identity)
        return self._open

    def _set_standards(self, opened: _Opened) -> None:
        """Say once what the gates are since the program changed."""
        if opened.identity in self._judged_by:
            return
        store = opened.revisions.store
        known: Mapping[Gate, Standard] = store.read_book(RevisionBook.standards)
        for standard in known.values():
            store.set_standard(self._todays(standard), UPGRADED)
        self._judged_by = {opened.identity}

    def _proved(self, opened: _Opened, *, whole: bool) -> ChainCheck:
        """Return what is wrong with the log; only what is new is read where the rest was whole."""
        anchors = opened.file.anchors
        mark = (*opened.file.head(), os.stat(anchors).st_size if anchors.exists() else -1)  # noqa: PTH116 one call, no object
        known = self._chain if self._chain is not None and self._chain.is_whole else None
        if known is not None and mark == self._mark and not whole:
            return known
        since = None if whole else known
        self._chain = verify(self._path, anchors, since=since, pause=self._pause)
        self._mark = mark
        return self._chain

    def _absent(self) -> ChainCheck:
        """Return what is wrong where there is no file: nothing, unless its rows were anchored."""
        try:
            anchors, _ = read_anchors(anchors_beside(self._path))
        except OSError:
            anchors = ()
        last = max((each.number for each in anchors), default=0)
        text = f"{self._path} is gone, and row {last} of its audit log was anchored"
        breaks = (Break(number=1, text=text),) if last else ()
        return ChainCheck(rows=0, digest="", anchors=len(anchors), breaks=breaks)

    def _of_books(self, book: RevisionBook) -> tuple[tuple[str, ...], Storm | None]:
        held = {each.agent_id for each in book.revisions() if each.state is State.QUARANTINED}
        found = storm(book.all_moves(), self._clock.now(), self._limits)
        return tuple(sorted(held)), found

    def _pause(self) -> None:
        if self._hurried.wait(PAUSE_S):
            raise TryLater("the daemon is stopping; the audit log is verified at the next start")


def _require_readable(inbox: Inbox) -> None:
    """Raise TryLater where proposals that wait are not what was filed."""
    faults = inbox.unreadable()
    if faults:
        raise TryLater(
            f"{len(faults)} proposals cannot be read, the first is {faults[0][:300]}; nobody can "
            "approve them"
        )
