"""A walk: one row in, one answer out, and no row before the answer to the one before.

That the candidate cannot see the future is not a rule here but a fact: the row is in this process,
in a pipe that nothing has been written to. A candidate may answer early; it then commits itself
without having seen the row.

The loop has no buffer and no thread between it and the candidate, only `os.write` and `os.read`.
Rows and answers are shorter than PIPE_BUF, so each goes through in one piece. What ends a candidate
that does not answer is the zygote, at the wall limit, and behind it the guard.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.market.bars import Floats
from tools.sandbox import wire
from tools.sandbox.box import Box, Guard
from tools.sandbox.job import Outcome, Walk
from tools.sandbox.verdict import LONGEST_REST, Said, walked

_WORTH_MOVING: Final = 64  # rows for which a thread changes its processor


class WalkEnded(Refused):
    """The candidate gave no good answer to a row; `finish` says why."""


class Talk:
    """A walk under way. Finish it, or leave its `with` block, to get the worker back."""

    def __init__(self, box: Box, walk: Walk, down: int, up: int) -> None:
        """Take over the job's pipes; `Worker.open` calls this."""
        self._box = box
        self._walk = walk
        self._down = down
        self._up = up
        self._head = b""  # what came before the first answer
        self._rest = b""  # what came instead of one
        self._raw: list[bytes] = []
        self._wrong: str | None = None
        self._outcome: Outcome | None = None
        self._over = False
        self._asked = 0  # rows
        self._guard = Guard(box, walk.limits.wall_s)
        self._guard.start()

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def ask(self, rows: Floats) -> Floats:
        """Ask about rows, (n, fields), oldest first; return the answers, (n, outputs).

        Raises:
            BadInput: the rows have another width.
            WalkEnded: a row got no answer, or none within bounds.
        """
        fields, outputs = len(self._walk.fields), self._walk.outputs
        if rows.ndim != 2 or rows.shape[1] != fields:
            raise BadInput(f"rows of shape {rows.shape} were given; this walk has {fields} fields")
        before = len(self._raw)
        self._asked += len(rows)
        self._load()
        if not self._over:
            with self._near(len(rows)):
                self._exchange(np.ascontiguousarray(rows, dtype="<f8").tobytes())
        answers = _numbers(self._raw[before:], outputs)
        self._wrong = self._wrong or self._walk.bounds.fault_of(answers)
        self._over = self._over or self._wrong is not None or len(answers) < len(rows)
        if self._over:
            raise WalkEnded(f"{len(answers)} of {len(rows)} rows were answered; finish says why")
        return answers

    def _exchange(self, rows: bytes) -> None:
        read, write, keep = os.read, os.write, self._raw.append
        down, up = self._down, self._up
        width, size = 8 * len(self._walk.fields), 1 + 8 * self._walk.outputs
        try:
            for (row,) in struct.iter_unpack(f"{width}s", rows):
                write(down, row)
                answer = read(up, size)
                if len(answer) != size or answer[0]:
                    self._rest, self._over = answer, True
                    return
                keep(answer)
        except BrokenPipeError:
            self._over = True

    def finish(self) -> Outcome:
        """End the walk; signals are all answers, (rows, outputs)."""
        if self._outcome is None:
            self._load()
            os.close(self._down)
            self._rest += read_to(self._up, LONGEST_REST + 1 - len(self._rest))
            if len(self._rest) > LONGEST_REST or self._wrong is not None:
                self._box.stop_job()
            os.close(self._up)
            seal = self._box.seal(self._walk.limits.wall_s)
            self._guard.cancel()
            answers = _numbers(self._raw, self._walk.outputs)
            said = Said(self._head, self._asked, answers, self._rest, self._wrong)
            self._outcome = walked(self._walk, said, seal)
        return self._outcome

    def _load(self) -> None:
        """Wait until the candidate is loaded."""
        if not self._head:
            self._head = read_to(self._up, 2)
            self._over = self._head != wire.CONFINED + wire.STARTED

    @contextlib.contextmanager
    def _near(self, rows: int) -> Iterator[None]:
        """Put this thread on the job's processor for a while, where that is worth it."""
        processor = self._box.processor
        if processor < 0 or rows < _WORTH_MOVING:
            yield
            return
        before = os.sched_getaffinity(0)
        with contextlib.suppress(OSError):  # only slower
            os.sched_setaffinity(0, {processor})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


def _numbers(raw: list[bytes], outputs: int) -> Floats:
    form = np.dtype([("mark", "u1"), ("values", "<f8", (outputs,))])
    values: Floats = np.frombuffer(b"".join(raw), dtype=form)["values"].astype(np.float64)
    return values


def read_to(handle: int, most: int) -> bytes:
    """Return what comes until the end, or until `most` bytes."""
    parts, left = [], most
    while left > 0 and (part := os.read(handle, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
