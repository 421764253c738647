"""How many wait is counted while nobody moves them."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.lanes.lane import Lane, Server


def never() -> Server:
    raise BadSettings("nothing is served here")


def test_a_batch_on_its_way_from_the_queue_to_the_work_is_counted_in_one_of_them() -> None:
    lane = Lane("lane", "the list", never, InFlight())
    could_move = list[bool]()

    class Queue(deque[Any]):
        def __len__(self) -> int:
            could_move.append(mover.submit(lane._wake.acquire, blocking=False).result())
            return super().__len__()

    with ThreadPoolExecutor(1) as mover:
        lane._queue = Queue()
        assert lane.waiting == 0
    assert could_move == [False]
