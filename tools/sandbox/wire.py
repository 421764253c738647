"""What the pool and a zygote say to each other; both ends import it, so it needs only `struct`.

Two kinds of channel, and only the first can say how a job ended:

    control     pool <-> zygote, a seqpacket socket that no candidate ever holds. An order with the
                job's two pipes goes in; `STARTED` and then the seal come back.
    the pipes   pool <-> the forked job. Down: preface, arrays, then rows. Up: one byte `CONFINED`
                before any candidate byte is compiled, then signals or an error text. Whatever a
                candidate writes there is read as signals or refused, never as a figure.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass
from typing import Final

READY: Final = b"R"  # zygote: loaded, waiting for orders
FAILED: Final = b"X"  # zygote: cannot start; a text follows
STOP: Final = b"K"  # pool: kill the job
STARTED: Final = b"F"  # zygote: the job's process exists

CONFINED: Final = b"C"  # job: every layer is on; the candidate has not run yet
SIGNALS: Final = b"S"  # job: length, then float64
ERROR: Final = b"E"  # job: length, then a text in UTF-8
HEADER_SIZE: Final = 5  # of a frame: its kind, and how many bytes follow
LENGTH_SIZE: Final = 4  # of the preface
ANSWER: Final = b"\x00"  # job: an answer to one row, `outputs` float64 behind it

LONGEST_TEXT: Final = 2_000  # bytes of an error's text
LONGEST_CONTROL: Final = 4_096  # bytes of a message on the control socket

EXITED: Final = 0
SIGNALLED: Final = 1
OUT_OF_TIME: Final = 2  # the wall limit; killed by the zygote
STOPPED: Final = 3  # killed because the pool said so

_FRAME: Final = "<cI"
_LENGTH: Final = "<I"
_ORDER: Final = "<cIIdQIi"
_SEAL: Final = "<cIBiddQ"
_SEAL_SIZE: Final = 34


@dataclass(frozen=True, slots=True)
class Order:
    """A job, as the zygote knows it: the code itself goes to the job alone."""

    number: int
    cpu_s: int  # CPU seconds
    wall_s: float  # seconds from fork to the end
    memory: int  # bytes of address space
    files: int  # open descriptors
    processor: int  # to run on; -1: any

    def pack(self) -> bytes:
        """Return the message."""
        return struct.pack(_ORDER, b"J", *astuple(self))

    @classmethod
    def unpack(cls, raw: bytes) -> Order:
        """Return the order in a message."""
        return cls(*struct.unpack(_ORDER, raw)[1:])


@dataclass(frozen=True, slots=True)
class Seal:
    """How a job ended, as the kernel told its parent."""

    number: int
    ending: int  # EXITED, SIGNALLED, OUT_OF_TIME or STOPPED
    code: int  # exit status or signal number
    cpu_s: float  # user and system
    wall_s: float
    peak_kb: int  # resident set at its largest, pages shared with the zygote included

    def pack(self) -> bytes:
        """Return the message."""
        return struct.pack(_SEAL, b"S", *astuple(self))

    @classmethod
    def unpack(cls, raw: bytes) -> Seal:
        """Return the seal in a message.

        Raises:
            ValueError: it is none.
        """
        if len(raw) != _SEAL_SIZE or raw[:1] != b"S":
            raise ValueError(f"{raw[:40]!r} is no seal")
        return cls(*struct.unpack(_SEAL, raw)[1:])


def framed(kind: bytes, body: bytes) -> bytes:
    """Return one frame."""
    return struct.pack(_FRAME, kind, len(body)) + body


def frame_of(raw: bytes) -> tuple[bytes, bytes]:
    """Return kind and body of bytes that are exactly one frame; else two empty texts."""
    if len(raw) < HEADER_SIZE:
        return b"", b""
    kind, length = struct.unpack_from(_FRAME, raw)
    body = raw[HEADER_SIZE:]
    return (kind, body) if len(body) == length else (b"", b"")


def prefaced(preface: bytes) -> bytes:
    """Return a preface behind its length."""
    return struct.pack(_LENGTH, len(preface)) + preface


def length_of(raw: bytes) -> int:
    """Return the length in the bytes before a preface."""
    length: int = struct.unpack(_LENGTH, raw)[0]
    return length
