from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.sandbox import wire
from tools.sandbox.job import Bounds, Fault, Limits, Transform, Walk
from tools.sandbox.verdict import Said, clean, longest_of, transformed, walked

JOB = Transform(
    code="", columns={}, length=2, limits=Limits(cpu_s=2), bounds=Bounds(low=-1, high=1)
)
WALK = Walk(code="", fields=("close",), limits=Limits(cpu_s=2))
GOOD = wire.CONFINED + wire.framed(wire.SIGNALS, struct.pack("<2d", 1.0, -1.0))


def seal(**changes: Any) -> wire.Seal:
    fields = {"number": 1, "ending": 0, "code": 0, "cpu_s": 0.1, "wall_s": 0.2, "peak_kb": 30_720}
    return wire.Seal(**{**fields, **changes})


def test_a_whole_frame_and_a_good_end_give_signals_and_the_kernels_figures() -> None:
    outcome = transformed(JOB, GOOD, seal())
    assert outcome.signals is not None
    assert outcome.signals.tolist() == [1.0, -1.0]
    assert (outcome.fault, outcome.cpu_s, outcome.wall_s, outcome.peak_mb) == (None, 0.1, 0.2, 30.0)


@pytest.mark.parametrize(
    ("sealed", "fault"),
    [
        (None, Fault.BOX),
        (seal(ending=wire.OUT_OF_TIME, code=9), Fault.WALL),
        (seal(ending=wire.OUT_OF_TIME, code=9, cpu_s=2.0), Fault.CPU),
        (seal(ending=wire.SIGNALLED, code=9, cpu_s=2.0), Fault.CPU),
        (seal(ending=wire.SIGNALLED, code=24, cpu_s=1.5), Fault.CPU),  # SIGXCPU
        (seal(ending=wire.SIGNALLED, code=9, cpu_s=0.5), Fault.CRASHED),
        (seal(ending=wire.SIGNALLED, code=11), Fault.CRASHED),
        (seal(code=7), Fault.CRASHED),
    ],
)
def test_a_good_frame_means_nothing_after_a_bad_end(sealed: wire.Seal | None, fault: Fault) -> None:
    outcome = transformed(JOB, GOOD, sealed)
    assert (outcome.fault, outcome.signals) == (fault, None)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", Fault.BOX),
        (wire.ERROR + b"the kernel refuses seccomp", Fault.BOX),
        (wire.CONFINED, Fault.OUTPUT),
        (GOOD[:-1], Fault.OUTPUT),
        (GOOD + b"x", Fault.OUTPUT),
        (GOOD + GOOD[1:], Fault.OUTPUT),
        (wire.CONFINED + wire.framed(wire.SIGNALS, bytes(8)), Fault.OUTPUT),
        (wire.CONFINED + wire.framed(b"P", bytes(16)), Fault.OUTPUT),
        (wire.CONFINED + wire.framed(wire.ERROR, b"no"), Fault.CODE),
        (wire.CONFINED + wire.framed(wire.SIGNALS, struct.pack("<2d", 2.0, 0.0)), Fault.SIGNALS),
        (wire.CONFINED + bytes(longest_of(JOB)), Fault.OUTPUT),
    ],
)
def test_what_is_not_one_frame_of_good_signals_is_a_fault(raw: bytes, fault: Fault) -> None:
    assert transformed(JOB, raw, seal()).fault is fault


@given(st.binary(max_size=80))
def test_no_bytes_give_signals_out_of_form_or_a_text_that_harms(raw: bytes) -> None:
    outcome = transformed(JOB, wire.CONFINED + raw, seal())
    if outcome.signals is None:
        assert outcome.fault in (Fault.CODE, Fault.OUTPUT, Fault.SIGNALS)
    else:
        assert outcome.signals.shape == (2,)
        assert (abs(outcome.signals) <= 1).all()
    assert len(outcome.detail) <= 500
    assert outcome.detail.isprintable()


@given(st.binary(max_size=80))
def test_no_bytes_of_the_wrong_form_are_a_seal(raw: bytes) -> None:
    try:
        wire.Seal.unpack(raw)
    except ValueError:
        return
    assert raw[:1] == b"S"


def test_orders_and_seals_come_out_as_they_went_in() -> None:
    order = wire.Order(7, 2, 10.0, 1 << 29, 16, -1)
    assert wire.Order.unpack(order.pack()) == order
    assert wire.Seal.unpack(seal().pack()) == seal()


def test_a_candidates_text_is_one_short_printable_line() -> None:
    assert clean(b"a\nb\x00\x1b[31m\xff" + b"x" * 5_000)[:9] == "a b??[31m"
    assert len(clean(b"x" * 5_000)) == 500


@pytest.mark.parametrize(
    ("head", "rest", "wrong", "fault"),
    [
        (b"CF", b"", None, None),
        (b"CF", b"x", None, Fault.OUTPUT),
        (b"CF", wire.framed(wire.ERROR, b"no"), None, Fault.CODE),
        (b"CE", wire.framed(wire.ERROR, b"no")[1:], None, Fault.CODE),
        (b"C", b"", None, Fault.OUTPUT),
        (b"CF", b"", "a signal is not finite", Fault.SIGNALS),
        (b"E", b" the kernel refuses", None, Fault.BOX),
    ],
)
def test_a_walk_counts_only_as_a_whole(
    head: bytes, rest: bytes, wrong: str | None, fault: Fault | None
) -> None:
    outcome = walked(WALK, Said(head, 3, np.ones((3, 1)), rest, wrong), seal())
    assert outcome.fault is fault
    assert (outcome.signals is None) is (fault is not None)


def test_a_walk_with_a_row_unanswered_has_no_signals() -> None:
    outcome = walked(WALK, Said(b"CF", 4, np.ones((3, 1)), b"", None), seal())
    assert outcome.fault is Fault.OUTPUT
