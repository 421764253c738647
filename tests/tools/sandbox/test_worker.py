"""One worker: what jobs come to, how it heals, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from roboinvest.core.errors import BadInput, TryLater
from tests.fakes.sandboxes import below, needs
from tools.sandbox.job import Fault, Limits, Transform, Walk
from tools.sandbox.talk import WalkEnded
from tools.sandbox.tier import Tier
from tools.sandbox.worker import Worker

HONEST = Transform(
    code="def transform(columns): return columns['close'] * PARAMS['times']",
    params={"times": 3},
    columns={"close": np.arange(4.0)},
    length=4,
)


@pytest.fixture(scope="module", params=[Tier.B, Tier.A])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    needs(request.param)
    with Worker(request.param) as made:
        yield made


def is_served(worker: Worker) -> bool:
    outcome = worker.run(HONEST)
    if outcome.again:  # a zygote that was just killed may still have taken the job
        outcome = worker.run(HONEST)
    return outcome.signals is not None and outcome.signals.tolist() == [0, 3, 6, 9]


def test_a_transform_gives_its_signals_and_what_it_used(worker: Worker) -> None:
    outcome = worker.run(HONEST)
    assert outcome.signals is not None
    assert outcome.signals.tolist() == [0, 3, 6, 9]
    assert 0 < outcome.cpu_s < 2
    assert outcome.wall_s > 0
    assert 10 < outcome.peak_mb < 60


def test_a_candidates_error_is_told_with_its_line(worker: Worker) -> None:
    outcome = worker.run(
        Transform(code="def transform(c):\n    return 1 / 0", columns={}, length=1)
    )
    assert (outcome.fault, outcome.detail) == (
        Fault.CODE,
        "line 2: ZeroDivisionError: division by zero",
    )


def test_cpu_seconds_judge_and_wall_seconds_do_not(worker: Worker) -> None:
    spin = "def transform(c):\n    while True: pass"
    used_up = Transform(code=spin, columns={}, length=1, limits=Limits(cpu_s=1, wall_s=30))
    starved = Transform(code=spin, columns={}, length=1, limits=Limits(cpu_s=60, wall_s=0.2))
    assert worker.run(used_up).fault is Fault.CPU
    outcome = worker.run(starved)
    assert outcome.fault is Fault.WALL
    assert outcome.again
    assert is_served(worker)


def test_chance_is_the_seeds(worker: Worker) -> None:
    code = (
        "import random, numpy as np\n"
        "def transform(c): return [random.random(), np.random.random(), hash('x') % 1000]"
    )
    seeds = [1, 1, 2]
    first, again, other = (
        worker.run(Transform(code=code, columns={}, length=3, seed=seed)).signals for seed in seeds
    )
    assert first is not None
    assert again is not None
    assert other is not None
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_chance_without_a_seed_fails(worker: Worker) -> None:
    code = "import numpy as np\ndef transform(c): return [np.random.default_rng().random()]"
    assert worker.run(Transform(code=code, columns={}, length=1)).fault is Fault.CODE


def test_one_job_leaves_nothing_for_the_next(worker: Worker) -> None:
    worker.run(
        Transform(code="import numpy as np\nnp.left = 1\nraise ValueError", columns={}, length=1)
    )
    code = "import numpy as np\ndef transform(c): return [float(hasattr(np, 'left'))]"
    outcome = worker.run(Transform(code=code, columns={}, length=1))
    assert outcome.signals is not None
    assert outcome.signals[0] == 0.0


def test_hard_case_21_a_killed_zygote_is_replaced_within_a_second(worker: Worker) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    began = time.monotonic()
    assert is_served(worker)
    assert time.monotonic() - began < 1.0


def test_a_stopped_zygote_is_replaced(worker: Worker) -> None:
    stop_all(worker)
    began = time.monotonic()
    assert is_served(worker)
    assert time.monotonic() - began < 3.0


def test_a_zygote_killed_under_a_job_is_not_the_candidates_fault(worker: Worker) -> None:
    code = "def transform(c):\n    while True: pass"
    job = Transform(code=code, columns={}, length=1, limits=Limits(cpu_s=20, wall_s=20))
    assert worker.pid is not None
    killer = threading.Timer(0.3, os.kill, (worker.pid, signal.SIGKILL))
    killer.start()
    outcome = worker.run(job)
    killer.join()
    assert outcome.fault is Fault.BOX
    assert outcome.again
    assert is_served(worker)


def test_an_interrupted_job_ends_at_once_and_the_worker_waits_to_be_started(worker: Worker) -> None:
    code = "def transform(c):\n    while True: pass"
    job = Transform(code=code, columns={}, length=1, limits=Limits(cpu_s=20, wall_s=20))
    timer = threading.Timer(0.3, worker.interrupt)
    timer.start()
    began = time.monotonic()
    assert worker.run(job).fault is Fault.BOX
    assert time.monotonic() - began < 2.0
    timer.join()
    with pytest.raises(TryLater, match="interrupted"):
        worker.run(HONEST)
    worker.start()
    assert is_served(worker)


def test_a_bad_job_never_reaches_the_box(worker: Worker) -> None:
    served = worker.served
    with pytest.raises(BadInput):
        worker.run(Transform(code="", columns={"Bad": np.ones(1)}, length=1))
    assert worker.served == served


def test_hard_case_15_descriptors_and_processes_stay_level(worker: Worker) -> None:
    assert is_served(worker)
    us = psutil.Process()
    before = us.num_fds(), below(worker)
    for _ in range(100):
        worker.run(HONEST)
    assert (us.num_fds(), below(worker)) == before


def test_closing_leaves_no_process() -> None:
    worker = Worker(Tier.B)
    worker.start()
    pid = worker.pid
    assert pid is not None
    talk = worker.open(Walk(code="def step(row): return 1.0", fields=("close",)))
    talk.ask(np.ones((1, 1)))
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) == 2
    worker.close()
    assert psutil.wait_procs(family, timeout=5)[1] == []
    talk.finish()


def test_a_zygote_ends_with_whoever_started_it() -> None:
    child = os.fork()
    if child == 0:  # a daemon that is killed in the middle of a job
        worker = Worker(Tier.B)
        worker.start()
        worker.open(Walk(code="while True: pass", fields=("close",), limits=Limits(cpu_s=30)))
        signal.pause()
    daemon = psutil.Process(child)
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 10
    while len(family) < 2 and time.monotonic() < deadline:
        family = daemon.children(recursive=True)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(family) == 2
    assert psutil.wait_procs(family, timeout=5)[1] == []


@pytest.mark.soak
def test_ten_thousand_jobs_leave_nothing(worker: Worker) -> None:
    assert is_served(worker)
    us = psutil.Process()
    before = us.num_fds(), below(worker)
    for number in range(10_000):
        if number % 10:
            worker.run(HONEST)
        else:
            worker.run(Transform(code="import os\nos.abort()", columns={}, length=1))
    assert (us.num_fds(), below(worker)) == before
    assert [each for each in us.children(recursive=True) if each.status() == "zombie"] == []


def stop_all(worker: Worker) -> None:
    assert worker.pid is not None
    whole = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    for each in whole:
        os.kill(each.pid, signal.SIGSTOP)


def test_asking_a_walk_that_failed_is_refused(worker: Worker) -> None:
    with worker.open(Walk(code="nonsense", fields=("close",))) as talk:
        with pytest.raises(WalkEnded):
            talk.ask(np.ones((1, 1)))
        outcome = talk.finish()
    assert outcome.fault is Fault.CODE
    assert "NameError" in outcome.detail
