"""The kinds of box, best first."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """What stands between generated code and the machine."""

    A = "A"  # namespaces and an own file tree by bubblewrap, Landlock, seccomp, limits
    B = "B"  # Landlock, seccomp, limits
    C = "C"  # an interpreter that knows no outside; small scripts only, no numpy, no strategies
    D = "D"  # nothing: generated code does not run

    @property
    def runs_jobs(self) -> bool:
        """Return whether jobs on arrays run in it."""
        return self in (Tier.A, Tier.B)
