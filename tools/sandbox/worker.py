"""Runs jobs one at a time, blocking: what the pool uses in threads, and the command line as it is.

    with Worker(Tier.B) as worker:
        outcome = worker.run(job)

A worker heals itself: where the zygote is dead, silent or stuck, the next job gets a new one first.
It never judges by a watch of its own: whether a job used up its CPU seconds or only its wall time
is in the seal, and a job without a seal is the box's fault, not the candidate's.

With bubblewrap, the thread that starts the zygote must live on: the kernel ties the two together.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from roboinvest.core.market.bars import Floats
from tools.sandbox import wire
from tools.sandbox.box import Box, Guard
from tools.sandbox.inside.confinement import Layers
from tools.sandbox.job import Outcome, Transform, Walk
from tools.sandbox.talk import Talk, WalkEnded, read_to
from tools.sandbox.tier import Tier
from tools.sandbox.verdict import longest_of, transformed


class JobRunner:
    """Runs jobs in a box that it is given; production builds it by `Worker` only."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Return the process that was started, or None."""
        return self._box.pid

    @property
    def served(self) -> int:
        """Return the jobs of the zygote that is there."""
        return self._box.served

    @property
    def interrupted(self) -> bool:
        """Return whether it was interrupted, and must be started before it runs another job."""
        return self._box.interrupted

    def start(self) -> None:
        """Start a new zygote, in place of any other, and wait until it is loaded.

        Raises:
            TryLater: it does not start; the message says why.
        """
        self._box.start()

    def run(self, job: Transform) -> Outcome:
        """Run a job to its end.

        Raises:
            BadInput: the job is none that a box can run.
            TryLater: no zygote can be started.
        """
        job.check()
        columns = [np.ascontiguousarray(each, dtype="<f8") for each in job.columns.values()]
        rows = len(columns[0]) if columns else 0
        said = {"name": "transform", "length": job.length, "columns": len(columns), "rows": rows}
        preface = _preface(job, {**said, "fields": list(job.columns)})
        down, up = self._box.fork(job.limits)
        guard = Guard(self._box, job.limits.wall_s)
        guard.start()
        try:
            _send(down, preface + b"".join(each.tobytes() for each in columns))
            os.close(down)
            most = longest_of(job)
            raw = read_to(up, most + 1)
            if len(raw) > most:
                self._box.stop_job()
            os.close(up)
            return transformed(job, raw, self._box.seal(job.limits.wall_s))
        finally:
            guard.cancel()

    def open(self, walk: Walk) -> Talk:
        """Begin a walk; the worker is busy until the talk is finished.

        Raises:
            BadInput: the walk is none that a box can run.
            TryLater: no zygote can be started.
        """
        walk.check()
        past = np.zeros((0, 0)) if walk.history is None else walk.history
        said = {"name": "step", "outputs": walk.outputs, "rows": past.shape[0]}
        preface = _preface(walk, {**said, "columns": past.shape[1], "fields": list(walk.fields)})
        raw = preface + np.ascontiguousarray(past, dtype="<f8").tobytes()
        down, up = self._box.fork(walk.limits)
        talk = Talk(
            self._box, walk, down, up
        )  # its guard is on: a long history may not get through
        _send(down, raw)
        return talk

    def walk(self, walk: Walk, rows: Floats) -> Outcome:
        """Ask about all rows, (n, fields), one after the other."""
        talk = self.open(walk)
        with talk, contextlib.suppress(WalkEnded):
            talk.ask(rows)
        return talk.finish()

    def move_to(self, processor: int) -> None:
        """Run later jobs on a processor; -1: anywhere."""
        self._box.processor = processor

    def interrupt(self) -> None:
        """End the job under way and the zygote with it, from any thread; then `start` again."""
        self._box.interrupt()

    def close(self) -> None:
        """End the zygote and whatever it runs."""
        self._box.close()


class Worker(JobRunner):
    """A runner with a box of its own, with all layers; any thread may `interrupt` it."""

    def __init__(self, tier: Tier, *, preload: Sequence[str] = (), processor: int = -1) -> None:
        """Prepare; nothing runs before `start` or the first job.

        Args:
            tier: A or B.
            preload: modules that jobs may import besides numpy and the plain library. The package
                of each, and of whatever it imports, must be named: others are not in the box.
            processor: where jobs run, and whoever walks through one meanwhile: a round trip between
                two processors costs ten times one on the same. -1: anywhere.
        """
        super().__init__(Box(tier, preload, processor, Layers()))


def _preface(job: Transform | Walk, said: dict[str, object]) -> bytes:
    code = {"code": job.code, "params": dict(job.params), "driver": job.driver, "seed": job.seed}
    return wire.prefaced(json.dumps({**said, **code}).encode())


def _send(handle: int, raw: bytes) -> None:
    """Write it all, unless the job is dead already: its seal will say of what."""
    rest = memoryview(raw)
    with contextlib.suppress(BrokenPipeError):
        while rest:
            rest = rest[os.write(handle, rest) :]
