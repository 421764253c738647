"""The embedding is the same everywhere, and near means alike."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.runtime.recall.embedding import (
    DIMENSIONS,
    TEXT_DIMENSIONS,
    embed_query,
    embed_row,
)

CORPUS = (
    "SPY breakout above the opening range on heavy volume, stopped out",
    "AAPL pullback to the 20-day average in a calm uptrend, target reached",
    "QQQ failed breakdown below support, short squeeze into the close",
    "MSFT gap up on earnings faded all day, exit at the horizon",
    "TLT drifted in a narrow range before the Fed statement",
)
# of the vector printed below; another value means stored rows and questions no longer meet, so
# the embedding then needs another name
DIGEST = "3a926ab3ca0cea64d04f406e378aecd7b569f960ea49b2c020ba47ec5278a238"
_PRINT_DIGEST = """
import hashlib
from roboinvest.runtime.recall.embedding import embed_row
row = embed_row("SPY breakout, \\u00e9t\\u00e9 \\u4e2d", (0.5, -1.0, 2.25))
print(hashlib.sha256(repr(row).encode()).hexdigest())
"""


def _likeness(left: tuple[float, ...], right: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _best(question: str, rows: tuple[str, ...] = CORPUS) -> str:
    asked = embed_query(question)
    return max(rows, key=lambda text: _likeness(asked, embed_row(text)))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("breakouts of the opening range on volume", CORPUS[0]),
        ("pullback in an uptrend", CORPUS[1]),
        ("short squeeze after a failed breakdown", CORPUS[2]),
        ("earnings gap that faded", CORPUS[3]),
        ("quiet range before the Fed", CORPUS[4]),
    ],
)
def test_the_nearest_text_is_the_one_about_the_same_thing(question: str, answer: str) -> None:
    assert _best(question) == answer


def test_every_text_is_nearest_to_itself_in_a_large_crowd() -> None:
    crowd = tuple(f"{CORPUS[n % 5]} case {n * 37 % 1000}" for n in range(60))
    missed = [text for text in crowd if _best(text, crowd) != text]
    assert missed == []


def test_two_processes_with_other_hash_seeds_agree_with_the_vector_on_record() -> None:
    digests = set()
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", _PRINT_DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert digests == {DIGEST}


def test_a_question_in_words_is_blind_to_the_market_of_the_rows() -> None:
    asked = embed_query("breakout on volume")
    bull = embed_row(CORPUS[0], (3.0, 1.0, -2.0))
    bear = embed_row(CORPUS[0], (-3.0, -1.0, 2.0))
    assert _likeness(asked, bull) == pytest.approx(_likeness(asked, bear), abs=1e-12)


def test_a_question_with_a_setup_prefers_the_row_of_the_same_market() -> None:
    setup = (3.0, 1.0, -2.0, 0.5)
    asked = embed_query("breakout on volume", setup)
    same = embed_row(CORPUS[0], setup)
    other = embed_row(CORPUS[0], tuple(-value for value in setup))
    assert _likeness(asked, same) - _likeness(asked, other) == pytest.approx(1.0, abs=1e-4)


@given(text=st.text(max_size=200), setup=st.lists(st.floats(), max_size=40))
def test_any_text_and_any_setup_give_finite_halves_of_length_one_or_nothing(
    text: str, setup: list[float]
) -> None:
    row = embed_row(text, setup)
    assert len(row) == DIMENSIONS
    for half in (row[:TEXT_DIMENSIONS], row[TEXT_DIMENSIONS:]):
        length = math.sqrt(sum(value * value for value in half))
        assert length == pytest.approx(1.0, abs=1e-4) or length == 0.0


@given(text=st.text(alphabet="abc défg", min_size=1, max_size=80))
def test_the_likeness_of_a_text_to_itself_is_one_or_it_has_no_words(text: str) -> None:
    itself = _likeness(embed_query(text), embed_row(text))
    assert itself == pytest.approx(1.0, abs=1e-4) or not any(embed_row(text))
