"""How the compiled parts of the kernel are made, in one place.

Only the entry points are kept on disk: what they call is compiled into them. numba asks the file of
an entry point alone whether a kept one is stale, so `kept` closes over a digest of the whole
package, which is part of the key that numba looks it up by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that is compiled when an entry point that calls it is.

    Nobody else calls it, so it needs no wrappers; it makes no arrays, so it need not count who
    holds them, which would cost more than what is done with them.
    """
    return _made(function, no_cfunc_wrapper=True)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Return such a function that becomes part of each caller, because it runs at every event."""
    return _made(function, no_cfunc_wrapper=True, forceinline=True)


def kept(function: Callable[P, R]) -> Callable[P, R]:
    """Return an entry point that is compiled at its first call, or read from disk."""
    try:
        return _made(function, cache=True)
    except RuntimeError:  # no folder for it can be written; then every process compiles
        return _made(function)


def _made(function: Callable[P, R], **options: bool) -> Callable[P, R]:
    njit: Any = numba.njit
    return cast("Callable[P, R]", njit(error_model="numpy", _nrt=False, **options)(function))


def stamp() -> int:
    """Return a number that changes with the code of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7])
