"""A machine that refuses something: puts a filter on this process, then says what `detect` finds.

python -m tests.fakes.sandbox_denials namespaces landlock
"""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
from typing import Final

from tools.sandbox.inside.kernel import Kernel
from tools.sandbox.tiers import detect

_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000
# What is refused: number, the first argument's bits (0: whatever it is), whether bits or value.
_CALLS: Final = {
    "namespaces": [(56, 0x10000000, True), (272, 0, True), (435, 0, True)],
    "landlock": [(444, 0, True)],
    "seccomp": [(157, 22, False), (317, 0, True)],
}


def refuse(what: list[str]) -> None:
    """Have the kernel refuse it, to this process and all that come of it."""
    steps = [(0x20, 0, 0, 0)]
    for number, argument, are_bits in (each for name in what for each in _CALLS[name]):
        answer = _REFUSE | (errno.ENOSYS if number in (435, 444) else errno.EPERM)
        if not argument:
            steps += [(0x15, 0, 1, number), (0x06, 0, 0, answer)]
            continue
        test = (0x45, 0, 1, argument) if are_bits else (0x15, 0, 1, argument)
        steps += [(0x15, 0, 4, number), (0x20, 0, 0, 16), test, (0x06, 0, 0, answer)]
        steps += [(0x06, 0, 0, _ALLOW)]
    steps.append((0x06, 0, 0, _ALLOW))
    kernel = Kernel()
    kernel.give_up_privileges()
    kernel.filter_calls(b"".join(struct.pack("<HBBI", *each) for each in steps))


def main() -> None:
    """Refuse what the arguments name, and print what is found."""
    refuse([name for name in sys.argv[1:] if name in _CALLS])
    if "bwrap" in sys.argv:
        os.environ["PATH"] = "/nowhere"
    found = detect()
    said = {"tier": found.tier, "reason": found.reason, "refused": dict(found.refused)}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
