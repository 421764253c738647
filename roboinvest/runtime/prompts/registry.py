"""The words in force: kept in memory, followed in the file, and counted by what came of them.

`current` is a look-up that blocks nobody. A label that another process moves is noticed within two
seconds. What is counted is written every few seconds: a kill loses the last of it, and nothing
else; an orderly stop loses nothing. Two connections, so that a move of our own is noticed in the
same way as anybody's, also where the one who asked for it was cancelled and never heard of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

import structlog

from roboinvest.core.errors import BadInput, BadSettings, TryLater
from roboinvest.core.ports import Clock
from roboinvest.core.tasks import RULES, SAFE
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.lanes.file import connect, open_reader, open_writer
from roboinvest.runtime.llm.provider import Message
from roboinvest.runtime.prompts import labels
from roboinvest.runtime.prompts.book import PromptBook
from roboinvest.runtime.prompts.files import PromptFiles
from roboinvest.runtime.prompts.labels import Cause
from roboinvest.runtime.prompts.rendering import PromptRenderer
from roboinvest.runtime.prompts.schema import REGISTRY
from roboinvest.runtime.prompts.values import fenced
from roboinvest.runtime.prompts.versions import Label, Move, Outcome, PromptTerms, PromptVersion
from roboinvest.runtime.supervision.service import ServiceContext

ResultT = TypeVar("ResultT")
POLL_S: Final = 1.0
FLUSH_EVERY: Final = 5  # polls
DEADLINE_S: Final = 10.0
_NANO: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class _InForce:
    """A prompt's labels."""

    current: PromptVersion
    candidate: PromptVersion | None


class PromptRegistry:
    """A service that follows the labels; it also moves them."""

    name: Final = "prompts"
    reconnects: Final = "reads the words of every prompt in force anew"

    def __init__(
        self,
        writer: PromptBook,
        watcher: PromptBook,
        names: tuple[str, ...],
        *,
        clean: Callable[[str], str],
        pool: ThreadPoolExecutor,
        clock: Clock,
        in_flight: InFlight,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Take two connections to one file; `open` makes them."""
        self._deadline_s = deadline_s
        self._writer, self._watcher = writer, watcher
        self._names = names
        self._clean = clean
        self._renderer = PromptRenderer(clean)
        self._pool, self._clock, self._in_flight = pool, clock, in_flight
        self._in_force: Mapping[str, _InForce] = {}
        self._changes: int | None = None
        self._counts = Counter[tuple[str, str]]()
        self._counting = threading.Lock()
        self._log = structlog.get_logger("roboinvest.prompts")

    @staticmethod
    async def open(
        path: Path,
        files: PromptFiles,
        terms: Mapping[str, PromptTerms],
        *,
        clean: Callable[[str], str],
        pool: ThreadPoolExecutor,
        clock: Clock,
        in_flight: InFlight,
        deadline_s: float = DEADLINE_S,
    ) -> PromptRegistry:
        """Open or make the registry, take in the files, and know the words in force.

        Args:
            path: of its file; see `registry_file`.
            files: what people wrote.
            terms: by the name of the prompt, for every task that is declared.
            clean: strips and caps strangers' text.
            pool: of at least one thread; it stays the caller's.
            clock: says when a label was moved.
            in_flight: counts the jobs in the pool.
            deadline_s: seconds for one transaction, the wait for its turn included.

        Raises:
            BadSettings: a prompt's file is missing or breaks a rule, or the registry is damaged,
                of another program, of a newer one, or cannot be written.
            TryLater: another process holds it.
        """

        at = clock.now()

        def opened() -> PromptRegistry:
            prompts = files.read_all(terms)
            writer, watcher = _opened(path)
            try:
                for name, prompt in prompts.items():
                    labels.take_in(writer, prompt, terms[name], at)
            except BaseException:
                writer.close()
                watcher.close()
                raise
            return PromptRegistry(
                writer,
                watcher,
                tuple(terms),
                clean=clean,
                pool=pool,
                clock=clock,
                in_flight=in_flight,
                deadline_s=deadline_s,
            )

        with in_flight:
            registry = await asyncio.get_running_loop().run_in_executor(pool, opened)
        await registry.poll()
        return registry

    def current(self, name: str) -> PromptVersion:
        """Return the version in force.

        Raises:
            BadInput: no declared task has this prompt.
        """
        return self._labels(name).current

    def candidate(self, name: str) -> PromptVersion | None:
        """Return the version that may come into force."""
        return self._labels(name).candidate

    def render(
        self, version: PromptVersion, values: Mapping[str, object], marker: str
    ) -> tuple[Message, ...]:
        """Return the system and the user message; see `PromptRenderer.render`."""
        return self._renderer.render(version, values, marker)

    def fence(self, text: str, marker: str) -> str:
        """Return strangers' text, such as what a tool found, cleaned and fenced as data."""
        return fenced(text, marker, self._clean)

    async def propose(self, name: str, text: str, cause: Cause) -> PromptVersion:
        """Make a text the candidate; see `labels.propose`."""
        made = await self._do(lambda: labels.propose(self._writer, name, text, cause))
        await self.poll()
        return made

    async def promote(self, name: str, cause: Cause) -> Move:
        """Put the candidate in force; see `labels.promote`."""
        move = await self._do(lambda: labels.promote(self._writer, name, cause))
        await self.poll()
        return move

    async def rollback(self, name: str, cause: Cause) -> Move:
        """Go one step back; see `labels.roll_back`."""
        move = await self._do(lambda: labels.roll_back(self._writer, name, cause))
        await self.poll()
        return move

    def count(self, version: PromptVersion | str, outcome: Outcome, n: int = 1) -> None:
        """Count an outcome, or add to a sum; it is written by the next `flush`."""
        key = version if isinstance(version, str) else version.version
        with self._counting:
            self._counts[key, Outcome(outcome).value] += n

    def count_ask(
        self,
        version: PromptVersion,
        source: str,
        *,
        cost_usd: Decimal,
        latency_ms: float,
        is_repaired: bool = False,
    ) -> None:
        """Count one ask by where its answer came from, what it cost and how long it took."""
        self.count(version, Outcome.ASKED)
        by_rule = {RULES: Outcome.RULES, SAFE: Outcome.SAFE}
        self.count(version, by_rule.get(source, Outcome.ANSWERED))
        if is_repaired:
            self.count(version, Outcome.REPAIRED)
        self.count(version, Outcome.COST_NANO_USD, int((cost_usd * _NANO).to_integral_value()))
        self.count(version, Outcome.LATENCY_MS, round(latency_ms))

    async def flush(self) -> None:
        """Write what was counted; what cannot be written waits for the next time.

        Raises:
            TryLater: the registry cannot be written.
        """
        if self._counts:
            await self._do(self._write_counts)

    async def poll(self) -> bool:
        """Look whether a label was moved, by whomever; return whether any was.

        Raises:
            TryLater: the registry cannot be read.
        """
        changes, found = await self._do(self._look)
        if found is None:
            return False
        moved = [name for name, now in found.items() if _differs(self._in_force.get(name), now)]
        for name in moved:
            was, now = self._in_force.get(name), found[name]
            if was is not None and was.current.version != now.current.version:
                self._log.info(
                    "prompt_moved", prompt=name, before=was.current.short, after=now.current.short
                )
        self._changes, self._in_force = changes, found
        return bool(moved)

    async def reconnect(self) -> None:
        """Forget the words in memory, and read those in force from the file.

        Raises:
            TryLater, BadSettings: the registry cannot be read; the words stay as they were.
        """

        def read() -> Mapping[str, _InForce]:
            with self._watcher.reading() as book:
                return {name: self._read(book, name, anew=True) for name in self._names}

        self._in_force = await self._do(read)

    async def run(self, ctx: ServiceContext) -> None:
        """Follow the labels and write the counts until cancelled."""
        polls = 0
        ctx.ready()
        async for _ in ctx.every(POLL_S):
            await self.poll()
            polls += 1
            if polls % FLUSH_EVERY == 0:
                await self.flush()

    async def close(self) -> None:
        """Write what was counted and let go of the file."""
        try:
            await self.flush()
        except TryLater as error:
            self._log.warning("prompt_counts_lost", why=str(error))
        finally:
            await self._do(self._let_go)

    def _labels(self, name: str) -> _InForce:
        found = self._in_force.get(name)
        if found is None:
            known = ", ".join(sorted(self._in_force)) or "none"
            raise BadInput(f"no declared task has the prompt {name!r}; there are {known}")
        return found

    async def _do(self, work: Callable[[], ResultT]) -> ResultT:
        """Do blocking work in the pool; one that takes too long goes on there without us."""
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                with self._in_flight:
                    return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise TryLater(
                f"the prompt registry took more than {self._deadline_s:g} s; what was asked of it "
                "may still be done: look with `roboinvest prompts ls`"
            ) from None

    def _look(self) -> tuple[int, Mapping[str, _InForce] | None]:
        """Return the figure of changes, and the labels where it is another one."""
        changes = self._watcher.changes()
        if changes == self._changes:
            return changes, None
        with self._watcher.reading() as book:
            return changes, {name: self._read(book, name) for name in self._names}

    def _read(self, book: PromptBook, name: str, *, anew: bool = False) -> _InForce:
        """Return a prompt's labels; a version that is known is not read again, but `anew`."""
        was = None if anew else self._in_force.get(name)
        known = {v.version: v for v in (was.current, was.candidate) if v} if was else {}
        current, candidate = (
            book.labelled(name, Label.CURRENT),
            book.labelled(name, Label.CANDIDATE),
        )
        if current is None:
            raise BadSettings(f"the prompt registry has no version of {name}; start again")
        try:
            return _InForce(
                current=known.get(current) or book.version(current),
                candidate=(known.get(candidate) or book.version(candidate)) if candidate else None,
            )
        except BadInput as error:  # written by another program: what is known stays in force
            if was is None:
                raise
            self._log.warning("prompt_not_read", prompt=name, why=str(error))
            return was

    def _write_counts(self) -> None:
        with self._counting:
            batch, self._counts = self._counts, Counter()
        try:
            with self._writer.writing() as book:
                book.add_counts(batch)
        except BaseException:
            with self._counting:
                self._counts.update(batch)
            raise

    def _let_go(self) -> None:
        self._writer.close()
        self._watcher.close()


def _opened(path: Path) -> tuple[PromptBook, PromptBook]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(
            f"{path.parent} cannot be made ({error.strerror}); give --data-dir a folder that this "
            "user owns"
        ) from error
    writer = PromptBook(open_writer(path, REGISTRY, connect))
    try:
        return writer, PromptBook(open_reader(path, REGISTRY))
    except BaseException:
        writer.close()
        raise


def _differs(was: _InForce | None, now: _InForce) -> bool:
    return was is None or _names(was) != _names(now)


def _names(labels: _InForce) -> tuple[str, str | None]:
    return labels.current.version, labels.candidate.version if labels.candidate else None
