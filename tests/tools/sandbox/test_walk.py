"""A walk: bar by bar, with the future not in the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from tests.fakes.sandboxes import needs
from tools.sandbox.job import Bounds, Fault, Limits, Walk
from tools.sandbox.talk import WalkEnded
from tools.sandbox.tier import Tier
from tools.sandbox.worker import Worker

TWIN = """
seen = []
def step(row):
    seen.append(row[1])
    slow = sum(seen[-20:]) / len(seen[-20:])
    quick = sum(seen[-5:]) / len(seen[-5:])
    return (1.0 if quick > slow else -1.0, row[0] - slow)
"""


@pytest.fixture(scope="module", params=[Tier.B, Tier.A])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    needs(request.param)
    with Worker(request.param, processor=0) as made:
        yield made


def rows(n: int, seed: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(100.0, 1.0, size=(n, 2))


def test_a_walk_answers_as_its_twin_outside_bit_by_bit(worker: Worker) -> None:
    names: dict[str, Callable[[tuple[float, ...]], tuple[float, float]]] = {}
    exec(TWIN, names)  # noqa: S102 our own text, the twin
    bars = rows(2_000)
    expected = [names["step"](tuple(row)) for row in bars.tolist()]
    outcome = worker.walk(Walk(code=TWIN, fields=("open", "close"), outputs=2), bars)
    assert outcome.signals is not None
    assert outcome.signals.tolist() == [list(each) for each in expected]


def test_rows_may_come_in_pieces_as_they_do_live(worker: Worker) -> None:
    walk = Walk(code=TWIN, fields=("open", "close"), outputs=2)
    bars = rows(300)
    with worker.open(walk) as talk:
        pieces = [talk.ask(bars[:1]), talk.ask(bars[1:200]), talk.ask(bars[200:])]
        outcome = talk.finish()
    at_once = worker.walk(walk, bars)
    assert outcome.signals is not None
    assert np.array_equal(np.concatenate(pieces), outcome.signals)
    assert at_once.signals is not None
    assert np.array_equal(outcome.signals, at_once.signals)


CHEATS = {
    "reads the next row from the pipe": (
        "import os\ndef step(row):\n    return os.read(3, 16)[0] * 1.0",
        Fault.WALL,  # there is nothing to read, so it waits for ever
    ),
    "answers twice, to be asked for less": (
        "import os\ndef step(row):\n    os.write(4, bytes(9))\n    return 1.0",
        Fault.OUTPUT,
    ),
    "looks for bars in its memory": (
        "import gc, numpy as np\n"
        "def step(row):\n"
        "    found = [x for x in gc.get_objects() if isinstance(x, np.ndarray) and x.size == 500]\n"
        "    return float(len(found) > 0)",
        None,
    ),
    "answers short": (
        "import os\ndef step(row):\n    os.write(4, b'x')\n    os._exit(0)",
        Fault.OUTPUT,
    ),
    "answers with a text": ("def step(row): return 'up'", Fault.CODE),
    "answers with too much": ("def step(row): return [1.0, 2.0]", Fault.CODE),
    "answers with nothing": ("def step(row): return None", Fault.CODE),
    "answers with NaN": ("def step(row): return float('nan')", Fault.SIGNALS),
    "raises at the third row": (
        "n = 0\ndef step(row):\n    global n\n    n += 1\n    return 1.0 / (3 - n)",
        Fault.CODE,
    ),
    "leaves": ("import os\ndef step(row): os._exit(0)", Fault.OUTPUT),
    "crashes": ("import ctypes\ndef step(row): return ctypes.string_at(0)", Fault.CRASHED),
    "loops": ("def step(row):\n    while True: pass", Fault.CPU),
    "never loads": ("while True: pass", Fault.CPU),
    "floods": ("import os\ndef step(row):\n    while True: os.write(4, bytes(4096))", Fault.OUTPUT),
}


@pytest.mark.parametrize("what", CHEATS)
def test_a_cheat_gets_no_future_and_no_signals(worker: Worker, what: str) -> None:
    code, fault = CHEATS[what]
    wall_s = 0.5 if fault is Fault.WALL else 20.0
    walk = Walk(code=code, fields=("open", "close"), limits=Limits(cpu_s=1, wall_s=wall_s))
    outcome = worker.walk(walk, rows(500))
    assert outcome.fault is fault, outcome
    if fault is None:
        assert outcome.signals is not None
        assert not outcome.signals.any()
    honest = worker.walk(Walk(code="def step(row): return row[0]", fields=("a",)), rows(3)[:, :1])
    assert honest.signals is not None
    assert np.array_equal(honest.signals, rows(3)[:, :1])


def test_answers_are_checked_as_they_come(worker: Worker) -> None:
    walk = Walk(
        code="def step(row): return row[0]", fields=("open", "close"), bounds=Bounds(low=0, high=5)
    )
    with worker.open(walk) as talk:
        assert talk.ask(np.array([[4.0, 0.0]])).tolist() == [[4.0]]
        with pytest.raises(WalkEnded):
            talk.ask(np.array([[6.0, 0.0]]))
        with pytest.raises(WalkEnded):
            talk.ask(np.array([[1.0, 0.0]]))
        assert talk.finish().fault is Fault.SIGNALS


def test_rows_of_another_width_are_refused(worker: Worker) -> None:
    with worker.open(Walk(code="def step(row): return 1.0", fields=("close",))) as talk:
        with pytest.raises(BadInput, match="1 fields"):
            talk.ask(rows(3))
        assert talk.finish().fault is None


def test_an_early_answer_commits_without_having_seen_the_row(worker: Worker) -> None:
    # It answers its first row twice, so that every later answer is one row old: legal bytes, and
    # one too many at the end.
    code = (
        "import os, struct\nfirst = True\n"
        "def step(row):\n"
        "    global first\n"
        "    if first:\n"
        "        first = False\n"
        "        os.write(4, struct.pack('<cd', bytes(1), row[0]))\n"
        "    return row[0]\n"
    )
    bars = rows(50)
    with worker.open(Walk(code=code, fields=("open", "close"))) as talk:
        answers = talk.ask(bars)
        outcome = talk.finish()
    assert np.array_equal(answers[1:, 0], bars[:-1, 0])
    assert outcome.fault is Fault.OUTPUT


def test_a_driver_of_ours_makes_the_function(worker: Worker) -> None:
    walk = Walk(code="ignored", fields=("close",), driver="operator:nonsense")
    assert worker.walk(walk, np.ones((1, 1))).fault is Fault.CODE


def test_a_walk_may_begin_with_a_history_that_is_not_asked_about(worker: Worker) -> None:
    code = (
        "n = [len(HISTORY), HISTORY[:, 1].sum()]\ndef step(row):\n    return n[0], n[1] + row[0]\n"
    )
    past, new = rows(30_000), rows(3, seed=2)
    walk = Walk(code=code, fields=("open", "close"), outputs=2, history=past)
    outcome = worker.walk(walk, new)
    assert outcome.signals is not None
    assert outcome.signals[:, 0].tolist() == [30_000.0] * 3
    assert np.array_equal(outcome.signals[:, 1], past[:, 1].sum() + new[:, 0])
    narrow = Walk(code=code, fields=("open", "close"), history=past[:, :1])
    with pytest.raises(BadInput, match="give rows of its fields"):
        worker.walk(narrow, new)
