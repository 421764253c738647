"""Strategies by the name that a person types, with those that run in the box only.

    vwap_bounce           of the library
    PATH                  a Python file, run as its owner's code; see `tools.strategies.files`
    box:PATH              a Python file, in the box
    agent:ID[@REVISION]   what an agent's revision trades by, in the box: first digits of a
                          revision, or the active one

What an agent wrote runs in the box and nowhere else, so the path of its file is refused without
it. Boxes are opened with the first name that needs them, and closed with the shelf.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.ports import Clock
from roboinvest.core.revisions.lifecycle import SHORT, Revision, State
from roboinvest.core.strategy import Strategy
from roboinvest.runtime.governance.file import FILE_NAME
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.opening import AGENTS, open_revisions
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.tier import Tier
from tools.sandbox.tiers import Detection, detect
from tools.strategies import shelf
from tools.strategies.files import read_source

BOX: Final = "box:"
AGENT: Final = "agent:"
CODE: Final = "code/strategy.py"  # of a revision
_JUDGED: Final = (State.INSTALLED, State.ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedText:
    """A strategy's text for the box; it travels to other processes as it is."""

    source: str
    name: str  # what errors and the run book call it
    tier: Tier

    def opened(self, boxes: Boxes) -> Strategy:
        """Return the strategy; see `boxed_strategy`."""
        return boxed_strategy(self.source, self.name, boxes)


class StrategyShelf:
    """Finds strategies, for one data folder. For one thread."""

    def __init__(
        self,
        data: Path,
        clock: Clock,
        *,
        detects: Callable[[], Detection] = detect,
        workers: int = 2,
    ) -> None:
        """Prepare; nothing is read or started yet.

        Args:
            data: the data folder, whose agents are meant.
            clock: for the books of revisions.
            detects: which box there is; asked once, when the first name needs it.
            workers: boxes at once.
        """
        self._data, self._clock = data, clock
        self._detects, self._workers = detects, workers
        self._texts: dict[tuple[str, bool], BoxedText] = {}
        self._boxes: Boxes | None = None
        self._tier: Tier | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the boxes, where there are any."""
        self._boxes = None
        self._open.close()

    def find(self, named: str, *, trades: bool = False) -> Strategy:
        """Return a strategy; where it `trades`, an agent's revision must have passed its gates.

        Raises:
            BadInput: there is no such strategy, or it is none.
            Refused: it would need a box, and there is none; or a revision was changed on disk.
            TryLater: the box failed.
        """
        text = self.boxed(named, trades=trades)
        if text is None:
            return shelf.find(named)
        if self._boxes is None:
            self._boxes = self._open.enter_context(Boxes(text.tier, workers=self._workers))
        return text.opened(self._boxes)

    def boxed(self, named: str, *, trades: bool = False) -> BoxedText | None:
        """Return what of this name runs in the box; None: it is no such name.

        Raises:
            BadInput, Refused: see `find`.
        """
        if not named.startswith((BOX, AGENT)):
            self._refuse_agents_code(named)
            return None
        key = (named, trades)
        if key not in self._texts:
            self._texts[key] = self._read(named, trades=trades)
        return self._texts[key]

    def place_of(self, named: str) -> str | None:
        """Return what the run book says of where the code lies; None: in the library."""
        text = self.boxed(named)
        if text is not None:
            return f"{BOX}{text.name}" if named.startswith(BOX) else text.name
        return str(Path(named).resolve()) if is_path(named) else None

    def revision_of(self, named: str) -> str:
        """Return the first digits of the revision that is meant; "" where no agent wrote it."""
        text = self.boxed(named) if named.startswith(AGENT) else None
        return "" if text is None else text.name.rpartition("@")[2]

    def source_of(self, named: str) -> str | None:
        """Return the text of a strategy's file; None: it is of the library."""
        text = self.boxed(named)
        if text is not None:
            return text.source
        if not is_path(named):
            return None
        return Path(named).read_text(encoding="utf-8", errors="replace")

    def _read(self, named: str, *, trades: bool) -> BoxedText:
        tier = self._best(named)
        if named.startswith(BOX):
            path = Path(named.removeprefix(BOX))
            return BoxedText(
                source=_text(read_source(path), named), name=str(path.resolve()), tier=tier
            )
        agent, _, digits = named.removeprefix(AGENT).partition("@")
        if not (self._data / FILE_NAME).exists():
            raise BadInput(f"{named}: {self._data} has no agents yet; see `roboinvest agents ls`")
        with open_revisions(self._data, self._clock) as house:
            found = house.store.read_book(lambda book: _revision(book, agent, digits))
            if trades and found.state not in _JUDGED:
                raise Refused(
                    f"{agent}@{found.short} is {found.state}, and only a revision that passed its "
                    f"gates trades; see `roboinvest agents show {agent} {found.short}`"
                )
            files = house.store.read(agent, found.revision_id).files
        name = f"{AGENT}{agent}@{found.revision_id[:SHORT]}"
        if CODE not in files:
            raise BadInput(f"{name} has no {CODE}, so it does not trade; name another")
        return BoxedText(source=_text(files[CODE], name), name=name, tier=tier)

    def _best(self, named: str) -> Tier:
        if self._tier is None:
            found = self._detects()
            if not found.tier.runs_jobs:
                raise Refused(f"{named} needs a box, and there is none here: {found.reason}")
            self._tier = found.tier
        return self._tier

    def _refuse_agents_code(self, named: str) -> None:
        agents = (self._data / AGENTS).resolve()
        if is_path(named) and Path(named).resolve().is_relative_to(agents):
            raise Refused(
                f"{named} lies in {agents}, whose code runs in the box only; name it "
                f"{AGENT}ID@REVISION, or {BOX}{named}"
            )


def is_path(named: str) -> bool:
    """Return whether a name means a file that runs as its owner's code."""
    return not named.startswith((BOX, AGENT)) and (named.endswith(".py") or "/" in named)


def _revision(book: RevisionBook, agent: str, digits: str) -> Revision:
    """Return the revision that is meant."""
    own = book.revisions(agent)
    if not digits:
        active = book.alias(agent).revision_id
        found = [each for each in own if each.revision_id == active]
        what = "active revision"
    else:
        found = [each for each in own if each.revision_id.startswith(digits.lower())]
        what = f"single revision {digits!r}"
    if len(found) != 1:
        known = ", ".join(each.short for each in own[-10:]) or "none"
        raise BadInput(
            f"{agent} has no {what}; it has {known}, named as {AGENT}{agent}@DIGITS; "
            f"see `roboinvest agents history {agent}`"
        )
    return found[0]


def _text(source: bytes, named: str) -> str:
    try:
        return source.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{named} is no text in UTF-8 ({error.reason}); mend it") from error
