"""Each planted fault is caught by the check that is there for it, and the right design is not."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.brokers.desk.reconciler import Reconciler
from roboinvest.core.events import AlertRaised, Event
from roboinvest.runtime.folder import replace_file
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import Child, Group, Service
from roboinvest.runtime.supervision.supervisor import Supervisor
from tests.fakes.clocks import START, LoopClock
from tests.fakes.journals import InMemoryOrderJournal
from tests.fakes.venues import SimulatedVenue
from tests.fakes.virtual_time import run_virtual
from tests.simulation.mutants import (
    DoubleOverseer,
    HealthLoop,
    NoClientOrderId,
    NoReconcile,
    RetryPost,
    SubmitFirst,
    SwallowCancel,
    naive_json,
)
from tests.simulation.scenario import POLICY, Scenario, faulty, hanging, violations

SEEDS = range(40, 64)


def days(**fields: object) -> list[Scenario]:
    return [faulty(seed, (20 + seed % 30,), valid_s=130.0, **fields) for seed in SEEDS]


def names(found: list[str]) -> set[str]:
    """Return the invariants that were broken."""
    return {line.split(": ", 1)[1].split(" ", 1)[0] for line in found}


def test_the_right_design_lives_through_the_days_of_the_mutants() -> None:
    assert violations(days()) == []


@pytest.mark.parametrize(
    ("mutant", "broken"),
    [
        pytest.param({"wire": NoClientOrderId}, "I-ORD-1", id="no_coid"),
        pytest.param({"desk": SubmitFirst}, "I-ORD-3", id="submit_first"),
        pytest.param({"desk": NoReconcile}, "I-ORD-2", id="no_reconcile"),
        pytest.param({"wire": RetryPost}, "I-ORD-3", id="retry_POST"),
    ],
)
def test_an_order_gone_wrong_is_caught(mutant: dict[str, object], broken: str) -> None:
    assert broken in names(violations(days(**mutant)))


def test_missing_timeout_is_caught() -> None:
    for_ever = replace(POLICY, call_s=1e9)
    assert violations([hanging(seed) for seed in range(8)]) == []
    assert "I-ORD-2" in names(violations([hanging(seed, policy=for_ever) for seed in range(8)]))


def stop_findings(kind: Callable[[OrderDesk], Service]) -> list[str]:
    """Return what is wrong with the way a service stops, as its supervisor sees it."""

    async def main() -> list[str]:
        clock, said = LoopClock(), list[Event]()
        desk = OrderDesk(
            SimulatedVenue(1, clock, START),
            InMemoryOrderJournal(),
            clock,
            instance="sim",
            limits=lambda: "{}",
            may_act=lambda _intent: None,
            on_state=lambda _state, _reason: None,
            alarms=Silent(),
        )
        supervisor = _supervisor(kind(desk), said)
        loop = asyncio.get_running_loop()
        loop.call_at(100.0, supervisor.request_stop, "the test is over")
        end = await supervisor.run()
        found = [] if loop.time() < 101.0 else [f"I-STOP-1 it took {loop.time() - 100.0:.0f} s"]
        return found if end.exit_code == 0 else [*found, f"I-STOP-1 exit {end.exit_code}"]

    return run_virtual(main)


class Silent:
    """Alarms that nobody hears."""

    def raised(self, key: str, message: str) -> None:
        pass

    def resolved(self, key: str, message: str) -> None:
        pass


def _supervisor(service: Service, said: list[Event]) -> Supervisor:
    return Supervisor(
        (Group(children=(Child(service=service),)),),
        clock=LoopClock(),
        rng=random.Random(1),
        publish=said.append,
        limits=RestartLimits(),
    )


def test_swallow_cancel_is_caught() -> None:
    assert stop_findings(Reconciler) == []
    assert any(line.startswith("I-STOP-1") for line in stop_findings(SwallowCancel))


def torn(write: Callable[[Path, bytes], None], path: Path) -> list[str]:
    """Return what a reader sees who opened the report just before it is written again."""
    write(path, json.dumps({"equity": "1" * 4000}).encode())
    with path.open("rb", buffering=0) as reader:
        begun = reader.read(100)
        write(path, json.dumps({"equity": "2"}).encode())
        text = begun + reader.read()
    try:
        json.loads(text)
    except ValueError as error:
        return [f"I-DUR-1 a reader saw half a report: {error}"]
    return []


def test_naive_json_is_caught(tmp_path: Path) -> None:
    assert torn(replace_file, tmp_path / "status.json") == []
    assert torn(naive_json, tmp_path / "naive.json") != []


def looks_of(service: HealthLoop) -> list[str]:
    """Return what is wrong with how often the house is looked at in an hour."""

    async def main() -> list[str]:
        said = list[Event]()
        supervisor = _supervisor(service, said)
        asyncio.get_running_loop().call_at(3599.0, supervisor.request_stop, "the test is over")
        await supervisor.run()
        assert not [event for event in said if isinstance(event, AlertRaised)]
        return [] if service.looks == 60 else [f"I-TIME-1 {service.looks} looks in an hour"]

    return run_virtual(main)


def test_double_overseer_is_caught() -> None:
    assert looks_of(HealthLoop()) == []
    assert looks_of(DoubleOverseer()) == ["I-TIME-1 120 looks in an hour"]
