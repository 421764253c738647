"""What a gate is in this house today: the digest of the code that judges, and of its data.

The digest is of source files, whole packages of them. That is coarse: a comment changed in the
backtester makes every backtest be judged again. To miss a change that matters would be worse.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadSettings
from roboinvest.core.revisions.gates import Gate, Standard

VERSION: Final = 1
NO_DATA: Final = hashlib.sha256(b"judged on no data of the house").hexdigest()

_ALL: Final = ("meta_agents/evolution", "roboinvest/core/revisions", "roboinvest/core/proposals.py")
_STRATEGIES: Final = (
    "tools/sandbox",
    "tools/boxed_strategies",
    "tools/strategies",
    "tools/backtester",
    "roboinvest/core/quant",
    "roboinvest/core/market",
    "roboinvest/core/statistics",
    "roboinvest/core/strategy.py",
    "roboinvest/core/signals.py",
    "roboinvest/core/fills.py",
)
_JUDGED_BY: Final[Mapping[Gate, tuple[str, ...]]] = {
    Gate.STATIC: (*_ALL, "tools/code_checks"),
    Gate.AUDITOR: (*_ALL, "tools/code_checks", "roboinvest/runtime/redaction.py"),
    Gate.EVALUATOR: (*_ALL, *_STRATEGIES),
    Gate.BACKTEST: (*_ALL, *_STRATEGIES),
    Gate.WALK_FORWARD: (*_ALL, *_STRATEGIES),
}
_LIBRARIES: Final[Mapping[Gate, tuple[str, ...]]] = {
    Gate.STATIC: ("ruff", "bandit", "libcst"),
    Gate.AUDITOR: ("libcst",),
    Gate.EVALUATOR: ("numpy", "TA-Lib"),
    Gate.BACKTEST: ("numpy", "TA-Lib"),
    Gate.WALK_FORWARD: ("numpy", "TA-Lib"),
}
JUDGED_HERE: Final = tuple(_JUDGED_BY)  # gates that this wing has an evaluator for


class Standards:
    """Computes standards from the program's own files; each digest is taken once."""

    def __init__(self, root: Path | None = None) -> None:
        """Take the folder that the packages lie in; None: the one that this program runs from."""
        self._root = root or Path(__file__).resolve().parents[2]
        self._taken: dict[Gate, str] = {}

    def standard(self, gate: Gate, data_digest: str = NO_DATA) -> Standard:
        """Return the standard of a gate of this wing on data.

        Raises:
            BadSettings: the program's files cannot be read.
        """
        if gate not in self._taken:
            self._taken[gate] = self._digest(gate)
        return Standard(
            gate=gate,
            evaluator_digest=self._taken[gate],
            data_digest=data_digest,
            version=VERSION,
        )

    def _digest(self, gate: Gate) -> str:
        told = hashlib.sha256(f"{gate}|{VERSION}|{sys.version_info[:2]}|".encode())
        for name in _LIBRARIES[gate]:
            told.update(f"{name} {version(name)}|".encode())
        for place in _JUDGED_BY[gate]:
            for path in self._sources(place):
                try:
                    content = path.read_bytes()
                except OSError as error:
                    raise BadSettings(
                        f"{path} cannot be read ({error.strerror}), and it is part of the {gate} "
                        "gate; install the program anew"
                    ) from error
                name = path.relative_to(self._root).as_posix()
                told.update(f"{name}|{len(content)}|".encode() + content)
        return told.hexdigest()

    def _sources(self, place: str) -> list[Path]:
        path = self._root / place
        return sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.exists() else []
