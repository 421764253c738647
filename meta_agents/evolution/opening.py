"""The gates of one data folder, ready for use: by a command, or by a thread of the daemon."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from meta_agents.evolution.auditor import Auditor
from meta_agents.evolution.evaluator import Evaluator
from meta_agents.evolution.gatekeeper import Gatekeeper
from meta_agents.evolution.market_gates import BacktestGate, GateData, OpenBook, WalkForwardGate
from meta_agents.evolution.review import AuditModel, GateJudge
from meta_agents.evolution.standards import Standards
from meta_agents.evolution.static import CodeCheck, StaticGate
from meta_agents.evolution.traces import TRACES, TraceShelf
from roboinvest.core.errors import Refused
from roboinvest.core.ports import Clock
from roboinvest.core.strategy import Strategy
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.revisions.disk import LocalDisk
from roboinvest.runtime.revisions.opening import Revisions
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy
from tools.code_checks.check import check_code
from tools.code_checks.children import Children
from tools.sandbox.tiers import detect


@contextlib.contextmanager
def open_gates(
    house: Revisions,
    folder: Path,
    clock: Clock,
    in_flight: InFlight,
    *,
    data: tuple[GateData, OpenBook] | None = None,
    model: AuditModel | None = None,
) -> Iterator[Gatekeeper]:
    """Open a box and the gates that this house has an evaluator for; blocking.

    Args:
        house: the revisions of the data folder.
        folder: the data folder, where traces lie.
        clock: dates records.
        in_flight: counts the children that read code.
        data: the bars that strategies are judged on, and the run book that counts their trials;
            None: what has not been judged on bars yet stays so.
        model: adds findings to those of the auditor.

    Raises:
        Refused: this machine gives no box that code may run in.
    """
    found = detect()
    if not found.tier.runs_jobs:
        raise Refused(f"no gate runs code without a box, and {found.reason}")
    standards, check = Standards(), code_check(in_flight)
    with Boxes(found.tier) as boxes:

        def box(source: str, name: str) -> Strategy:
            return boxed_strategy(source, name, boxes)

        judges: list[GateJudge] = [
            StaticGate(standards, check),
            Auditor(standards, check),
            Evaluator(standards, boxes, box),
        ]
        if data is not None:
            bars, book = data
            judges.append(BacktestGate(standards, box, bars, book))
            judges.append(WalkForwardGate(standards, box, bars, book, clock))
        traces = TraceShelf(folder / TRACES, LocalDisk())
        yield Gatekeeper(house, judges, traces, clock, model=model)


def code_check(in_flight: InFlight) -> CodeCheck:
    """Return the static checks of this house, each in a child of its own."""
    return partial(check_code, runner=Children(in_flight))
