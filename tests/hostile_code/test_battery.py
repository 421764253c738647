"""The battery: every payload in every box this machine has, and in boxes that lack a layer.

A payload is only worth something if it works where nothing holds it. So it is also let loose in a
box without any layer, and there it must get through.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tests.fakes.sandboxes import IMPORTS, Trap, below, lacking, needs, trap
from tests.hostile_code.files import FILES
from tests.hostile_code.forging import FORGING
from tests.hostile_code.limits import LIMITS
from tests.hostile_code.network import OUTSIDE
from tests.hostile_code.payload import Held, Payload
from tests.hostile_code.processes import PROCESSES
from tools.sandbox.inside.confinement import Layers
from tools.sandbox.job import Fault, Outcome
from tools.sandbox.tier import Tier
from tools.sandbox.worker import JobRunner, Worker

BATTERY = (*FILES, *OUTSIDE, *PROCESSES, *LIMITS, *FORGING)
LOOPS = tuple(payload for payload in BATTERY if payload.ends == {Fault.CPU})
QUICK = tuple(payload for payload in BATTERY if payload not in LOOPS)
NO_LAYER = Layers(landlock=False, seccomp=False, rlimits=False, clean_environment=False)
LAYERS = (Held.LANDLOCK, Held.SECCOMP, Held.RLIMITS, Held.CLEAN_ENVIRONMENT)


@pytest.fixture(scope="module")
def set_trap() -> Iterator[Trap]:
    with trap() as made:
        yield made


def serves_the_next(worker: JobRunner, made: Trap) -> bool:
    began = time.monotonic()
    outcome = worker.run(made.honest())
    whole = outcome.signals is not None and np.array_equal(outcome.signals, [0, 1, 3, 6, 10])
    return whole and time.monotonic() - began < 1.0


def played(
    worker: JobRunner, made: Trap, payload: Payload, *, wall_s: float = 20.0
) -> tuple[Outcome, list[str]]:
    outcome = worker.run(payload.job(made.places, wall_s=wall_s))
    return outcome, made.leaks_of(payload, outcome)


def leaks_in(tier: Tier, payloads: Sequence[Payload], made: Trap) -> list[str]:
    """Play payloads in one worker, print the table, and return what leaked."""
    wrong = []
    print(f"\ntier {tier}, {len(payloads)} payloads")
    with Worker(tier, preload=IMPORTS) as worker:
        zygote, processes = worker.pid, below(worker)
        for payload in payloads:
            worker.run(made.honest())
            outcome, leaks = played(worker, made, payload)
            if not serves_the_next(worker, made):
                leaks.append("the next honest job was not served within a second")
            if worker.pid != zygote or below(worker) != processes:
                leaks.append("the zygote was replaced, or processes were left")
            end = outcome.fault or "no fault"
            print(f"  {payload.name:18} {payload.tries:48} {end:8} {'; '.join(leaks) or 'held'}")
            wrong += [f"{payload.name}: {leak}" for leak in leaks]
    print("\n".join(wrong))  # again, where the end of a long output is read
    return wrong


@pytest.mark.alone
@pytest.mark.parametrize("tier", [Tier.B, Tier.A])
def test_nothing_gets_out_and_the_next_honest_job_is_served(tier: Tier, set_trap: Trap) -> None:
    needs(tier)
    assert len(QUICK) >= 60
    assert leaks_in(tier, QUICK, set_trap) == []


@pytest.mark.parametrize("tier", [Tier.B, Tier.A])
def test_what_loops_is_ended_by_its_cpu_seconds(tier: Tier, set_trap: Trap) -> None:
    needs(tier)
    assert LOOPS
    assert leaks_in(tier, LOOPS, set_trap) == []


def test_names_are_given_once() -> None:
    assert [
        name for name, count in Counter(each.name for each in BATTERY).items() if count > 1
    ] == []


@pytest.mark.parametrize("layer", LAYERS)
def test_without_a_layer_what_it_alone_holds_gets_out(layer: Held, set_trap: Trap) -> None:
    needs(Tier.B)
    held = [payload for payload in BATTERY if payload.held is layer]
    assert held
    with lacking(layer.without()) as worker:
        silent = [
            payload.name for payload in held if not played(worker, set_trap, payload, wall_s=0.8)[1]
        ]
    assert silent == []


def test_without_any_layer_what_several_hold_gets_out(set_trap: Trap) -> None:
    needs(Tier.B)
    held = [payload for payload in BATTERY if payload.held is Held.SEVERAL]
    with lacking(NO_LAYER) as worker:
        silent = [
            payload.name for payload in held if not played(worker, set_trap, payload, wall_s=0.8)[1]
        ]
    assert silent == []
