"""Options that many commands share, and how errors leave the program.

Exit codes: 0 done; 1 a check found something; 2 wrong arguments, or a file, symbol or range they
name; 3 settings file or unwritable folder; 4 a dependency, or a report, is away; 5 refused; 70
escalated to the service manager; 75 forced stop.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from roboinvest.core.errors import (
    BadInput,
    BadReply,
    BadSettings,
    NeedsApproval,
    Refused,
    RoboInvestError,
    TryLater,
)


class ExitCode(IntEnum):
    """What the program ends with."""

    DONE = 0
    FOUND = 1
    ARGUMENTS = 2
    SETTINGS = 3
    AWAY = 4
    REFUSED = 5
    ESCALATED = 70
    FORCED = 75


_CODE_OF: Final[dict[type[RoboInvestError], ExitCode]] = {
    BadInput: ExitCode.ARGUMENTS,
    BadSettings: ExitCode.SETTINGS,
    TryLater: ExitCode.AWAY,
    BadReply: ExitCode.AWAY,
    Refused: ExitCode.REFUSED,
    NeedsApproval: ExitCode.REFUSED,
}

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Settings file (TOML). Default: config/roboinvest.toml if there."
    ),
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where the machine writes. Default: ./data")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON value and nothing else on stdout.")
]


def exit_code_of(error: RoboInvestError) -> ExitCode:
    """Return the exit code of an error, by the nearest class in its tree."""
    for kind in type(error).__mro__:
        if kind in _CODE_OF:
            return _CODE_OF[kind]
    return ExitCode.ESCALATED
