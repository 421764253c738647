"""What a hostile candidate is, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from string import Template
from typing import Final

from tools.sandbox.inside.confinement import Layers
from tools.sandbox.job import Bounds, Fault, Limits, Transform

LENGTH: Final = 64  # signals asked for; a payload spells bytes with them
DONE: Final = b"DONE: the forbidden thing worked"
PRELUDE: Final = """
import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
FOLDER = "$folder"
DONE = $done

def call(number, *arguments):
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    libc.syscall.restype = ctypes.c_long
    answer = libc.syscall(ctypes.c_long(number), *plain)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer

def spell(raw):
    raw = bytes(raw)[:$length]
    return [float(each) for each in raw] + [0.0] * ($length - len(raw))

def transform(columns):
    return spell(attempt() or b"")

"""

NO_SIGNALS: Final = frozenset({Fault.CODE, Fault.CRASHED, Fault.OUTPUT, Fault.SIGNALS, Fault.CPU})
ANY: Final[frozenset[Fault | None]] = frozenset({None, *NO_SIGNALS})


class Held(StrEnum):
    """What stops a payload: one layer alone, or any of several."""

    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    RLIMITS = "rlimits"
    CLEAN_ENVIRONMENT = "clean_environment"
    SEVERAL = "several"
    PROTOCOL = "protocol"  # no layer: it means nothing, or no job ever has the right

    def without(self) -> Layers:
        """Return a box that lacks this layer."""
        return Layers(**{self.value: False})


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One attempt."""

    name: str
    tries: str  # in words
    code: str  # defines `attempt`, whose bytes are spelled, or `transform`
    held: Held
    ends: frozenset[Fault | None] = ANY  # how it may end; anything else counts as a leak

    def job(self, places: dict[str, str], *, wall_s: float) -> Transform:
        """Return the job, with the places of a trap written in."""
        loops = self.ends == {Fault.CPU}  # any other has time to meet its limit on a slow machine
        names = {**places, "length": str(LENGTH), "done": repr(DONE)}
        return Transform(
            code=Template(PRELUDE + self.code).substitute(names),
            columns={},
            length=LENGTH,
            bounds=Bounds(low=0.0, high=255.0, whole=True),
            limits=Limits(cpu_s=1 if loops else 5, wall_s=wall_s, memory_mb=512),
        )


def attempt(name: str, tries: str, held: Held, body: str) -> Payload:
    """Return a payload whose `attempt` has this body."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return Payload(name=name, tries=tries, held=held, code=f"def attempt():\n{lines}\n")
