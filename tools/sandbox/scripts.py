"""Tier C: small scripts in an interpreter that knows no files, network, clock or ctypes.

The port is ours; behind it stands pydantic-monty, which is optional and read late. It has no numpy,
so nothing that works on arrays of bars runs here; what does is a model's small calculation. Its
workers are processes of their own, and each script gets a new session, so that nothing of one is
left for the next.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np

from roboinvest.core.errors import Refused
from roboinvest.core.strategy import Number
from tools.sandbox.job import Bounds, Fault, Outcome

_MODULE: Final = "pydantic_monty"


class ScriptRunner(Protocol):
    """Where small scripts run. `run` never raises for what a script does."""

    def run(self, code: str, given: Mapping[str, Number]) -> Outcome:
        """Run a script; its last expression is a number, which becomes the one signal."""


def scripts_missing() -> str | None:
    """Return why no scripts run here, or None where they do."""
    if importlib.util.find_spec(_MODULE) is None:
        return "tier C: pydantic-monty is not installed"
    outcome = MontyScripts().run("x + 2", {"x": 40})
    return None if outcome.fault is None else f"tier C: {outcome.detail}"


class MontyScripts:
    """Runs scripts with pydantic-monty, blocking."""

    def __init__(
        self,
        *,
        seconds: float = 1.0,
        memory_mb: int = 64,
        bounds: Bounds = Bounds(),  # noqa: B008
    ) -> None:
        """Prepare.

        Raises:
            Refused: the package is not installed.
        """
        if importlib.util.find_spec(_MODULE) is None:
            raise Refused(f"scripts need {_MODULE}, which is not installed; install pydantic-monty")
        self._monty: Any = importlib.import_module(_MODULE)
        self._seconds = seconds
        self._limits = {"max_feed_duration_secs": seconds, "max_memory": memory_mb << 20}
        self._bounds = bounds

    def run(self, code: str, given: Mapping[str, Number]) -> Outcome:
        """Run a script in a session of its own."""
        monty = self._monty
        try:
            with (
                monty.Monty(max_processes=1, request_timeout=self._seconds + 1) as pool,
                pool.checkout(limits=self._limits) as session,
            ):
                answer = session.feed_run(code, inputs=dict(given))
        except (monty.MontyError, OSError, TimeoutError) as error:
            return Outcome(signals=None, fault=Fault.CODE, detail=str(error)[:500])
        return _outcome(answer, self._bounds)


def _outcome(answer: object, bounds: Bounds) -> Outcome:
    # bool is an int, and a huge int no float: both are refused before numpy sees them
    if isinstance(answer, bool) or not isinstance(answer, int | float) or abs(answer) > 2.0**1000:
        kind = type(answer).__name__
        return Outcome(signals=None, fault=Fault.OUTPUT, detail=f"its answer is a {kind}")
    signals = np.array([float(answer)])
    wrong = bounds.fault_of(signals) if math.isfinite(answer) else "a signal is not finite"
    if wrong is not None:
        return Outcome(signals=None, fault=Fault.SIGNALS, detail=wrong)
    return Outcome(signals=signals, fault=None)
