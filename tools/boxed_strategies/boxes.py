"""The boxes that strategies run in: a few workers, handed out, healed and taken back.

    with Boxes(Tier.B) as boxes:
        strategy = boxed_strategy(source, "code/strategy.py", boxes)

Blocking, and for any thread. A worker starts with the first job that needs it. A job that the
candidate is not to blame for (a busy machine, a dead zygote) is run again, a few times. A walk may
be kept open between questions; when all workers are taken, the one that was longest not asked is
ended, and whoever kept it opens another with what it knows by then.
"""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeVar

from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.market.bars import Floats
from tools.sandbox.job import Limits, Outcome, Transform, Walk
from tools.sandbox.talk import Talk, WalkEnded
from tools.sandbox.tier import Tier
from tools.sandbox.worker import Worker

AnswerT = TypeVar("AnswerT")
PRELOAD: Final = ("roboinvest.core.strategy", "tools.boxed_strategies.inside.driver")
_ATTEMPTS: Final = 3
_MOST_JOBS: Final = 1_000  # of a zygote; then it is renewed
_FREE_S: Final = 600.0  # to wait for a worker


class Boxes:
    """Workers of one tier; see the head of this module."""

    def __init__(
        self,
        tier: Tier,
        *,
        workers: int = 2,
        limits: Limits = Limits(),  # noqa: B008
    ) -> None:
        """Prepare; nothing runs before the first job.

        Args:
            tier: what `tools.sandbox.tiers.detect` found, or a lower one that runs jobs.
            workers: jobs and open walks at once.
            limits: of a job that asks about few bars; long walks get more, by their rows.

        Raises:
            Refused: the tier runs no jobs.
        """
        if not tier.runs_jobs:
            raise Refused(
                f"tier {tier} runs no strategies; see what `roboinvest doctor` says of the sandbox"
            )
        self.tier, self.limits = tier, limits
        self._free = [_Slot(Worker(tier, preload=PRELOAD)) for _ in range(workers)]
        self._slots = tuple(self._free)
        self._kept: OrderedDict[Kept, None] = OrderedDict()  # idle ones, longest idle first
        self._changed = threading.Condition()
        self._open = False

    def __enter__(self) -> Self:
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the processes that were started."""
        return tuple(each.worker.pid for each in self._slots if each.worker.pid is not None)

    def run(self, job: Transform) -> Outcome:
        """Run a job, again where the candidate was not judged.

        Raises:
            BadInput: the job is none that a box can run.
            TryLater: no worker starts, or none comes free.
        """
        return self._settled(lambda slot: slot.call(lambda: slot.worker.run(job)))

    def walk(self, walk: Walk, rows: Floats) -> Outcome:
        """Walk through rows, (n, fields), again where the candidate was not judged.

        Raises:
            BadInput: the walk is none that a box can run.
            TryLater: no worker starts, or none comes free.
        """

        def play(slot: _Slot) -> Outcome:
            with slot.call(lambda: slot.worker.open(walk)) as talk, suppress(WalkEnded):
                talk.ask(rows)
            return talk.finish()

        return self._settled(play)

    def keep(self, walk: Walk) -> Kept:
        """Open a walk that stays open between questions, until its worker is needed.

        Raises:
            BadInput: the walk is none that a box can run.
            TryLater: no worker starts, or none comes free.
        """
        slot = self._taken()
        try:
            return Kept(self, slot, slot.call(lambda: slot.worker.open(walk)))
        except BaseException:
            self.give_back(slot)
            raise

    def close(self) -> None:
        """End whatever runs."""
        with self._changed:
            self._open = False
            self._kept.clear()
            self._changed.notify_all()
        for slot in self._slots:
            slot.close()

    def _settled(self, play: Callable[[_Slot], Outcome]) -> Outcome:
        for attempt in range(1, _ATTEMPTS + 1):
            slot = self._taken()
            try:
                outcome = play(slot)
            finally:
                self.give_back(slot)
            if not outcome.again or attempt == _ATTEMPTS:
                break
        return outcome

    def _taken(self) -> _Slot:
        """Wait for a free worker; end the walk that was longest not asked, where there is one."""
        with self._changed:
            while self._open:
                if self._free:
                    return self._free.pop().moved_here()
                if self._kept:
                    kept, _ = self._kept.popitem(last=False)
                    break
                if not self._changed.wait(_FREE_S):
                    raise TryLater(f"no box came free in {_FREE_S:g} s; give them more workers")
            else:
                raise Refused("the boxes are not open; enter them first")
        return kept.taken_away().moved_here()

    def give_back(self, slot: _Slot) -> None:
        """Take a worker back; for `Kept`."""
        with self._changed:
            self._free.append(slot)
            self._changed.notify()

    def lend(self, kept: Kept) -> bool:
        """Return whether a kept walk may be asked, and is not taken away meanwhile."""
        with self._changed:
            if kept not in self._kept:
                return False
            del self._kept[kept]
            return self._open

    def rest(self, kept: Kept) -> None:
        """Note that a kept walk is not asked at the moment."""
        with self._changed:
            if self._open:
                self._kept[kept] = None
                self._changed.notify()


class Kept:
    """A walk that stays open while nobody else needs its worker. For one thread at a time."""

    def __init__(self, boxes: Boxes, slot: _Slot, talk: Talk) -> None:
        """Take over a talk; `Boxes.keep` calls this."""
        self._boxes, self._slot, self._talk = boxes, slot, talk
        boxes.rest(self)

    def ask(self, rows: Floats) -> Floats | Outcome | None:
        """Return the answers; how the walk ended, where it did; None: it was taken away."""
        if not self._boxes.lend(self):
            return None
        try:
            answers = self._talk.ask(rows)
        except WalkEnded:
            return self._ended()
        except BaseException:
            self._ended()
            raise
        self._boxes.rest(self)
        return answers

    def end(self) -> None:
        """End the walk, if it is still there."""
        if self._boxes.lend(self):
            self._ended()

    def taken_away(self) -> _Slot:
        """End the walk and return its worker; for `Boxes`."""
        self._talk.finish()
        return self._slot

    def _ended(self) -> Outcome:
        try:
            return self._talk.finish()
        finally:
            self._boxes.give_back(self._slot)


class _Slot:
    """A worker, and the thread that starts its zygotes: with bubblewrap it must live on."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._thread: ThreadPoolExecutor | None = None

    def call(self, call: Callable[[], AnswerT]) -> AnswerT:
        """Return what a call that may start a zygote answers."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="box")
        return self._thread.submit(self._renewed, call).result()

    def moved_here(self) -> _Slot:
        """Have the next job run where the caller does: a round trip from there costs a tenth."""
        here = getattr(ctypes.CDLL(None), "sched_getcpu", None)
        self.worker.move_to(-1 if here is None else here())
        return self

    def close(self) -> None:
        """Kill whatever runs, and end the thread."""
        self.worker.interrupt()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        self.worker.close()

    def _renewed(self, call: Callable[[], AnswerT]) -> AnswerT:
        if self.worker.served >= _MOST_JOBS:
            self.worker.start()
        return call()
