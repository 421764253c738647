"""What a job's bytes and its seal come to: pure functions, and the only readers of both.

The seal decides first. Only a job that the kernel saw end by itself, with status 0, can have
signals at all; then its bytes must be one frame of exactly the size asked for, and every number in
it within bounds. A text that the candidate sent is cut and cleaned and decides nothing.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from tools.sandbox import wire
from tools.sandbox.job import Fault, Limits, Outcome, Transform, Walk

_NEARLY: Final = 0.9  # of the CPU limit: ticks are counted more coarsely than they are limited
_LONGEST_DETAIL: Final = 500
LONGEST_REST: Final = wire.HEADER_SIZE + wire.LONGEST_TEXT  # bytes beside the answers of a walk


def transformed(job: Transform, raw: bytes, seal: wire.Seal | None) -> Outcome:
    """Return the outcome of a transform from everything it wrote."""
    fault = _fault_of_end(raw, seal, job.limits, longest_of(job))
    if fault is not None:
        return outcome(seal, fault=fault)
    kind, body = wire.frame_of(raw[1:])
    if kind == wire.ERROR:
        return outcome(seal, fault=(Fault.CODE, clean(body)))
    if kind != wire.SIGNALS or len(body) != 8 * job.length:
        return outcome(seal, fault=(Fault.OUTPUT, "it did not write one frame of signals"))
    signals: Floats = np.frombuffer(body, dtype="<f8").astype(np.float64)
    wrong = job.bounds.fault_of(signals)
    if wrong is not None:
        return outcome(seal, fault=(Fault.SIGNALS, wrong))
    return outcome(seal, signals=signals)


def longest_of(job: Transform) -> int:
    """Return the most bytes that an honest job writes."""
    return 1 + wire.HEADER_SIZE + max(8 * job.length, wire.LONGEST_TEXT)


@dataclass(frozen=True, slots=True)
class Said:
    """What came up from a walk."""

    head: bytes  # before the first answer
    asked: int  # rows
    answers: Floats  # (rows, outputs), one for each row that was answered in form
    rest: bytes  # what came instead of an answer, or after the last
    wrong: str | None  # what is wrong with the numbers of an answer


def walked(walk: Walk, said: Said, seal: wire.Seal | None) -> Outcome:
    """Return the outcome of a walk."""
    if seal is not None and said.wrong is not None:  # we checked the numbers, however it went on
        return outcome(seal, fault=(Fault.SIGNALS, said.wrong))
    longest = LONGEST_REST + len(said.head)
    fault = _fault_of_end(said.head + said.rest, seal, walk.limits, longest)
    if fault is not None:
        return outcome(seal, fault=fault)
    loaded = said.head == wire.CONFINED + wire.STARTED
    kind, body = wire.frame_of(said.rest if loaded else said.head[1:] + said.rest)
    if kind == wire.ERROR:
        return outcome(seal, fault=(Fault.CODE, clean(body)))
    if said.rest or not loaded or len(said.answers) != said.asked:
        return outcome(seal, fault=(Fault.OUTPUT, "it did not write one answer for each row"))
    return outcome(seal, signals=said.answers)


def outcome(
    seal: wire.Seal | None,
    *,
    signals: Floats | None = None,
    fault: tuple[Fault, str] | None = None,
) -> Outcome:
    """Return an outcome with the seal's figures."""
    kind, detail = fault or (None, "")
    if seal is None:
        return Outcome(signals=signals, fault=kind, detail=detail)
    return Outcome(
        signals=signals,
        fault=kind,
        detail=detail,
        cpu_s=seal.cpu_s,
        wall_s=seal.wall_s,
        peak_mb=seal.peak_kb / 1024,
    )


def clean(text: bytes) -> str:
    """Return untrusted bytes as one short line of printable characters."""
    line = " ".join(text[: 4 * _LONGEST_DETAIL].decode(errors="replace").split())
    return "".join(each if each.isprintable() else "?" for each in line)[:_LONGEST_DETAIL]


def _fault_of_end(
    raw: bytes, seal: wire.Seal | None, limits: Limits, longest: int
) -> tuple[Fault, str] | None:
    """Return why a job cannot have signals, whatever it wrote; None: it ended well."""
    if seal is None:
        return Fault.BOX, "the zygote ended without saying how the job did"
    spent = f"{seal.cpu_s:.2f} s of CPU in {seal.wall_s:.2f} s"
    if len(raw) > longest:  # it was cut off there, so how it ended is our doing
        return Fault.OUTPUT, f"it wrote more than it was asked for, after {spent}"
    told = (
        seal.ending == wire.SIGNALLED and seal.code == signal.SIGXCPU
    )  # it cannot send itself one
    if told or (seal.ending != wire.EXITED and seal.cpu_s >= _NEARLY * limits.cpu_s):
        return Fault.CPU, f"it used {spent}, the limit is {limits.cpu_s} s of CPU"
    if seal.ending == wire.OUT_OF_TIME:
        return Fault.WALL, f"it used {spent}, the limit is {limits.wall_s:g} s"
    if raw[:1] != wire.CONFINED:
        return Fault.BOX, clean(raw[1:]) or "the job ended before it was confined"
    if seal.ending == wire.SIGNALLED:
        return Fault.CRASHED, f"it was ended by {_signal(seal.code)} after {spent}"
    if seal.code != 0:
        return Fault.CRASHED, f"it exited with status {seal.code} after {spent}"
    return None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
