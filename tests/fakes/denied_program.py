"""A program on a machine that refuses something, to it and to all that come of it.

python -m tests.fakes.denied_program landlock,seccomp roboinvest run --seed 7
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.fakes.processes import Daemon
from tests.fakes.sandbox_denials import refuse


class DeniedDaemon(Daemon):
    """A daemon on such a machine."""

    def __init__(
        self,
        denied: str,
        data: Path,
        *arguments: object,
        cwd: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Take what is refused, with commas, then what a daemon takes."""
        super().__init__(data, *arguments, cwd=cwd, env=env)
        python, _, *rest = self._command
        self._command = [python, "-m", "tests.fakes.denied_program", denied, *rest]


def main() -> None:
    """Refuse what is named, and become the program."""
    refuse(sys.argv[1].split(","))
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])  # noqa: S606 ours, and no shell is wanted


if __name__ == "__main__":
    main()
