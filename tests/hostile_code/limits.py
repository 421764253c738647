"""Attempts on the limits, and crashes."""

from __future__ import annotations

from typing import Final

from tests.hostile_code.payload import Held, Payload
from tools.sandbox.job import Fault

_R, _P = Held.RLIMITS, Held.PROTOCOL
_CODE, _CPU = frozenset({Fault.CODE}), frozenset({Fault.CPU})
_CRASHED, _OUTPUT = frozenset({Fault.CRASHED}), frozenset({Fault.OUTPUT})


def _ending(name: str, tries: str, held: Held, ends: frozenset[Fault], code: str) -> Payload:
    return Payload(name=name, tries=tries, held=held, ends=frozenset(ends), code=code)


BOMBS: Final[tuple[Payload, ...]] = (
    _ending(
        "memory",
        "take 560 MB",
        _R,
        _CODE,
        """
def attempt():
    block = bytearray(560 << 20)
    return DONE
""",
    ),
    _ending(
        "numpy_memory",
        "take 560 MB with numpy",
        _R,
        _CODE,
        """
def attempt():
    import numpy as np
    block = np.ones(70_000_000)
    return DONE
""",
    ),
    _ending(
        "list_memory",
        "take memory piece by piece",
        _R,
        _CODE,
        """
def attempt():
    parts = [bytearray(8 << 20) for _ in range(70)]
    return DONE
""",
    ),
    _ending(
        "mmap_memory",
        "take memory from the kernel",
        _R,
        _CODE,
        """
def attempt():
    import mmap
    mmap.mmap(-1, 4 << 30)
    return DONE
""",
    ),
    _ending(
        "zip_bomb",
        "unpack 700 MB",
        _R,
        _CODE,
        """
def attempt():
    import zlib
    zlib.decompress(zlib.compress(bytes(64 << 20)) , bufsize=700 << 20)
    return DONE
""",
    ),
    _ending(
        "huge_text",
        "make a text of 1 GB",
        _R,
        _CODE,
        "def attempt():\n    return DONE if 'x' * 10**9 else None",
    ),
    _ending(
        "loop",
        "loop for ever",
        _R,
        _CPU,
        """
def attempt():
    while True:
        pass
""",
    ),
    _ending(
        "loop_at_import",
        "loop before it is asked",
        _R,
        _CPU,
        """
while True:
    pass
""",
    ),
    _ending(
        "deaf_loop",
        "loop and ignore every signal",
        _R,
        _CPU,
        """
def attempt():
    import signal
    for each in range(1, 65):
        try:
            signal.signal(each, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
""",
    ),
    _ending(
        "huge_int",
        "compute 9 ** 9 ** 9",
        _R,
        _CPU,
        "def attempt():\n    return DONE if 9 ** 9 ** 9 else None",
    ),
    _ending(
        "recursion",
        "call itself for ever",
        _P,
        _CODE,
        """
def attempt():
    return attempt()
""",
    ),
    _ending(
        "deep_recursion",
        "call itself past the stack",
        _P,
        frozenset({Fault.CRASHED, Fault.CODE}),
        """
def attempt():
    import sys
    sys.setrecursionlimit(10**9)
    class Deep:
        def __getattr__(self, name):
            return getattr(self, name + 'x')
    return Deep().x
""",
    ),
    _ending("parser", "be too deep to parse", _P, _CODE, "x = " + "(" * 5_000 + ")" * 5_000),
)

CRASHES: Final[tuple[Payload, ...]] = (
    _ending(
        "segfault",
        "read address 0",
        _P,
        _CRASHED,
        """
def attempt():
    return ctypes.string_at(0)
""",
    ),
    _ending(
        "abort",
        "abort",
        _P,
        _CRASHED,
        """
def attempt():
    os.abort()
""",
    ),
    _ending(
        "exit_0",
        "leave as if all were well",
        _P,
        _OUTPUT,
        """
def attempt():
    os._exit(0)
""",
    ),
    _ending(
        "exit_7",
        "leave with a status",
        _P,
        _CRASHED,
        """
def attempt():
    os._exit(7)
""",
    ),
    _ending("system_exit", "raise SystemExit", _P, _CODE, "raise SystemExit(0)"),
    _ending(
        "interrupt",
        "raise KeyboardInterrupt",
        _P,
        _CODE,
        "def attempt():\n    raise KeyboardInterrupt",
    ),
    _ending(
        "closed_pipes",
        "close its pipes",
        _P,
        frozenset({Fault.CRASHED, Fault.OUTPUT}),
        "def attempt():\n    os.closerange(0, 100)",
    ),
    _ending(
        "bad_text",
        "raise an error whose text raises",
        _P,
        _CODE,
        """
class Bad(Exception):
    def __str__(self):
        raise self
def attempt():
    raise Bad
""",
    ),
    _ending(
        "broken_syntax",
        "be no Python",
        _P,
        _CODE,
        """
def attempt(:

""",
    ),
    _ending("null_byte", "be no text", _P, _CODE, "x = '\0'"),
)

LIMITS: Final = (*BOMBS, *CRASHES)
