"""Attempts on the harness and the protocol: floods, forged frames, patches, a look round."""

from __future__ import annotations

from typing import Final

from tests.hostile_code.payload import Held, Payload, attempt
from tools.sandbox.job import Fault

_R, _P = Held.RLIMITS, Held.PROTOCOL
_CODE, _CPU = frozenset({Fault.CODE}), frozenset({Fault.CPU})
_OUTPUT, _SIGNALS = frozenset({Fault.OUTPUT}), frozenset({Fault.SIGNALS})


def _ending(name: str, tries: str, held: Held, ends: frozenset[Fault], code: str) -> Payload:
    return Payload(name=name, tries=tries, held=held, ends=frozenset(ends), code=code)


FLOODS: Final[tuple[Payload, ...]] = (
    attempt(
        "stdout",
        "print 64 MB",
        _P,
        """
for _ in range(64):
    os.write(1, bytes(1 << 20))
    os.write(2, bytes(1 << 20))
""",
    ),
    _ending(
        "flood",
        "answer with 1 GB",
        _P,
        _OUTPUT,
        """
def attempt():
    for _ in range(1024):
        os.write(4, bytes(1 << 20))
""",
    ),
    _ending(
        "half_frame",
        "stop in the middle of a frame",
        _P,
        _OUTPUT,
        """
def attempt():
    os.write(4, b'S\\x00\\x02\\x00\\x00' + bytes(100))
    os._exit(0)
""",
    ),
    _ending(
        "half_and_silence",
        "begin a frame and fall silent",
        _R,
        _CPU,
        """
def attempt():
    os.write(4, b'S\\x00\\x02\\x00\\x00' + bytes(100))
    while True:
        pass
""",
    ),
    _ending(
        "long_frame",
        "announce 4 GB",
        _P,
        _OUTPUT,
        """
def attempt():
    os.write(4, b'S\\xff\\xff\\xff\\xff' + bytes(512))
    os._exit(0)
""",
    ),
    _ending(
        "two_frames",
        "answer twice",
        _P,
        _OUTPUT,
        """
def attempt():
    os.write(4, b'S\\x00\\x02\\x00\\x00' + bytes(512))
""",
    ),
    _ending(
        "bad_utf8",
        "raise what is no text",
        _P,
        _CODE,
        """
def attempt():
    os.write(4, b'E\\x04\\x00\\x00\\x00\\xff\\xfe\\x00\\x1b')
    os._exit(0)
""",
    ),
)

FORGERIES: Final[tuple[Payload, ...]] = (
    attempt(
        "forged_frame",
        "write the frame itself and leave",
        _P,
        """
os.write(4, b'S\\x00\\x02\\x00\\x00' + bytes(512))
os._exit(0)
""",
    ),
    _ending(
        "forged_figures",
        "claim a profit",
        _P,
        _OUTPUT,
        """
def attempt():
    os.write(4, b'{"ok": true, "sharpe": 9.9, "pnl": 999}')
    os._exit(0)
""",
    ),
    _ending(
        "forged_seal",
        "claim an end of its own on every descriptor",
        _R,
        _CPU,
        """
def attempt():
    import struct
    seal = struct.pack('<cIBiddQ', b'S', 1, 0, 0, 0.001, 0.001, 1)
    for handle in range(5, 1024):
        try:
            os.write(handle, seal)
        except OSError:
            pass
    while True:
        pass
""",
    ),
    _ending(
        "forged_confinement",
        "claim to be the box",
        _P,
        _OUTPUT,
        """
def attempt():
    os.write(4, b'CF' + bytes(9))
    os._exit(0)
""",
    ),
    _ending(
        "nan",
        "answer with NaN",
        _P,
        _SIGNALS,
        "def transform(columns):\n    return [float('nan')] * 64",
    ),
    _ending(
        "infinity",
        "answer with infinity",
        _P,
        _SIGNALS,
        "def transform(columns):\n    return [float('-inf')] * 64",
    ),
    _ending(
        "huge",
        "answer with 1e308",
        _P,
        _SIGNALS,
        "def transform(columns):\n    return [1e308] * 64",
    ),
    _ending(
        "fraction",
        "answer with halves",
        _P,
        _SIGNALS,
        "def transform(columns):\n    return [0.5] * 64",
    ),
    _ending(
        "too_many",
        "answer with more",
        _P,
        _CODE,
        """
def transform(columns):
    return [1.0] * 65
""",
    ),
    _ending(
        "nothing",
        "answer with nothing",
        _P,
        _CODE,
        """
def transform(columns):
    return None
""",
    ),
    _ending(
        "texts",
        "answer with texts",
        _P,
        _CODE,
        """
def transform(columns):
    return ['DONE'] * 64
""",
    ),
    attempt(
        "patched_numpy",
        "patch numpy and json for the next job",
        _P,
        """
import numpy as np, json
np.asarray = np.array = json.loads = lambda *a, **k: DONE
np.ndarray.shape = 1
""",
    ),
    attempt(
        "patched_os",
        "patch writing for the next job",
        _P,
        """
import tools.sandbox.inside.harness as harness
os.write = harness._write = lambda *a: 0
""",
    ),
    attempt(
        "patched_builtins",
        "patch float and len for the next job",
        _P,
        """
import builtins
builtins.float = builtins.len = lambda *a: 1e9
""",
    ),
    attempt(
        "patched_zygote",
        "patch the zygote for the next job",
        _P,
        """
import sys
main = sys.modules['tools.sandbox.inside.zygote']
main.confine = main.keep_only = lambda *a: None
main.Zygote.serve = lambda self: None
""",
    ),
    attempt(
        "stack",
        "find secrets of the harness on the stack",
        _P,
        """
import re, sys
frame = sys._getframe()
while frame is not None:
    for each in (*frame.f_locals.values(), *frame.f_globals.values()):
        found = re.search('secret-[0-9a-f]{8,}', repr(each))
        if found:
            return found.group().encode()
    frame = frame.f_back
""",
    ),
    attempt(
        "former_job",
        "find the code of the job before",
        _P,
        """
import gc, re
for each in gc.get_objects():
    if not isinstance(each, (dict, list, tuple)):
        continue
    values = each.values() if isinstance(each, dict) else each
    for value in list(values):
        found = isinstance(value, str) and re.search('secret-[0-9a-f]{8,}', value)
        if found:
            return found.group().encode()
""",
    ),
    attempt(
        "atexit",
        "run on after the answer",
        _P,
        """
import atexit
atexit.register(lambda: os.write(4, bytes(9)))
""",
    ),
    attempt(
        "finalizer",
        "run when it is thrown away",
        _P,
        """
class Last:
    def __del__(self):
        os.write(4, bytes(9))
globals()['last'] = Last()
""",
    ),
    attempt(
        "lying_array",
        "answer with an object that changes",
        _P,
        """
class Liar:
    def __array__(self, *a, **k):
        raise RuntimeError('no')
return Liar()
""",
    ),
)

FORGING: Final = (*FLOODS, *FORGERIES)
