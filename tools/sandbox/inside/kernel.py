"""The calls that Python's library lacks: Landlock, seccomp, capabilities and the like, by ctypes.

Every method either does the whole of what it says or raises `OSError`: a job that could not be
confined must not run, so nothing here falls back.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
_CAPSET: Final = 126  # x86-64
_CAPABILITY_VERSION_3: Final = 0x20080522
_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
# What a ruleset may handle grew: files 1, moving 2, truncating 3, TCP 4, devices 5, abstract
# sockets and signals 6. What is handled and not allowed by a rule is refused, and we have no rule.
_FILES: Final = 0x1FFF
_FILES_SINCE: Final = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NET_SINCE: Final = (4, 0x3)
_SCOPE_SINCE: Final = (6, 0x3)


class Kernel:
    """The C library of this process."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def landlock_version(self) -> int:
        """Return the Landlock interface of this kernel, from 1 on.

        Raises:
            OSError: it has none, or it is switched off.
        """
        return self._call(_LANDLOCK_CREATE_RULESET, 0, 0, _ASK_VERSION, what="Landlock")

    def refuse_all_files(self) -> None:
        """Let Landlock refuse every path, TCP port, abstract socket and signal to outside."""
        version = self.landlock_version()
        files = _FILES
        for since, right in _FILES_SINCE.items():
            files |= right if version >= since else 0
        fields = [files]
        for since, rights in (_NET_SINCE, _SCOPE_SINCE):
            fields += [rights] if version >= since else []
        ruleset = ctypes.create_string_buffer(struct.pack(f"<{len(fields)}Q", *fields))
        handle = self._call(
            _LANDLOCK_CREATE_RULESET,
            ctypes.addressof(ruleset),
            8 * len(fields),
            0,
            what="a Landlock ruleset",
        )
        self._call(_LANDLOCK_RESTRICT_SELF, handle, 0, what="Landlock")
        os.close(handle)

    def filter_calls(self, program: bytes) -> None:
        """Let seccomp judge every system call from here on."""
        code = ctypes.create_string_buffer(program)
        address = ctypes.addressof(code)
        header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program) // 8, address))
        self._control(
            _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header), what="seccomp"
        )

    def give_up_privileges(self) -> None:
        """Drop every capability, for good: nothing executed later can gain one."""
        self._control(_PR_SET_NO_NEW_PRIVS, 1, what="no_new_privs")
        header = ctypes.create_string_buffer(struct.pack("<Ii", _CAPABILITY_VERSION_3, 0))
        none = ctypes.create_string_buffer(24)
        self._call(
            _CAPSET, ctypes.addressof(header), ctypes.addressof(none), what="dropping capabilities"
        )

    def stay_unread(self) -> None:
        """Forbid core files, and processes of the same user to look in."""
        self._control(_PR_SET_DUMPABLE, 0, what="not being dumped")

    def die_with_parent(self, parent: int) -> None:
        """Be killed when the parent's thread ends; at once if it already has."""
        self._control(_PR_SET_PDEATHSIG, 9, what="dying with the parent")
        if os.getppid() != parent:
            raise OSError("the parent is gone")

    def _control(self, option: int, *values: int, what: str) -> None:
        padded = [ctypes.c_ulong(each) for each in (*values, 0, 0, 0, 0)[:4]]
        if self._libc.prctl(option, *padded) != 0:
            self._refused(what)

    def _call(self, number: int, *values: int, what: str) -> int:
        arguments = [ctypes.c_long(each) for each in values]
        answer: int = self._libc.syscall(ctypes.c_long(number), *arguments)
        if answer < 0:
            self._refused(what)
        return answer

    def _refused(self, what: str) -> None:
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel refuses {what}: {os.strerror(number)}")
