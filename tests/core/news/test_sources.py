"""Who counts as a voice of its own, and who is taken for another's echo."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.news.sources import (
    FINGERPRINT,
    fingerprint_of,
    independent,
    independent_sources,
    likeness,
    source_of,
    voices,
)
from tests.fakes.news import TEXTS, record


@pytest.mark.parametrize(
    ("publisher", "source"),
    [
        ("The Daily Ledger", "dailyledger"),
        ("finance.example.com", "example.com"),
        ("https://www.Example.com/news?id=1", "example.com"),
        ("news.example.co.uk:8080", "example.co.uk"),
        ("a.github.io", "github.io"),
        ("\uff32euters", "reuters"),
        ("Les \u00c9chos", "lesechos"),
        ("R\u0435uters", ""),  # a Cyrillic letter
        ("\u200b", ""),
        ("", ""),
        ("<b>Ledger</b>", "ledger"),
        ("\x1b[31m", "31m"),
    ],
)
def test_a_publisher_has_one_plain_name(publisher: str, source: str) -> None:
    assert source_of(publisher) == source


@given(st.text())
def test_a_name_is_plain_and_short_whatever_is_given(publisher: str) -> None:
    name = source_of(publisher)
    assert len(name) <= 40
    assert name == "" or name.isascii()
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_different_publishers_with_words_of_their_own_are_voices() -> None:
    assert independent(record(0), record(1))
    assert independent_sources([record(0), record(1), record(2), record(3)]) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [("Reuters", "reuters.com"), ("Reuters News", "Reuters"), ("a.x.io", "b.x.io")],
)
def test_one_publisher_is_one_voice_however_it_is_spelt(one: str, other: str) -> None:
    assert independent_sources([record(0, source=one), record(1, source=other)]) == 1


@pytest.mark.parametrize(
    "copied",
    [
        TEXTS[0].upper(),
        f"BREAKING: {TEXTS[0]}!",
        TEXTS[0].replace("two", "three"),
        f"{TEXTS[0]} {' '.join(f'word{n}' for n in range(60))}",
        f"{TEXTS[0]} https://example.com/a",
    ],
)
def test_a_copy_is_no_second_voice(copied: str) -> None:
    assert independent_sources([record(0), record(1, text=copied)]) == 1


def test_two_publishers_that_link_to_one_page_copy_nothing_by_that() -> None:
    link = " https://example.com/a/b/c"
    assert independent(record(0, text=TEXTS[0] + link), record(1, text=TEXTS[1] + link))


def test_whoever_copies_from_two_makes_one_voice_of_all_three() -> None:
    both = record(2, text=f"{TEXTS[0]}. {TEXTS[1]}")
    assert independent_sources([record(0), record(1)]) == 2
    assert independent_sources([record(0), record(1), both]) == 1


def test_nobody_and_nothing_are_no_voices() -> None:
    assert independent_sources([record(0, source=""), record(1, text="")]) == 0
    assert not independent(record(0), record(1, source=""))
    assert independent_sources([record(0), record(1, source=""), record(2)]) == 2


def test_a_copy_within_a_flood_is_found_by_what_both_would_have_kept() -> None:
    words = [f"w{n}" for n in range(600)]
    long, copy = " ".join(words), " ".join([*words[:500], *(f"x{n}" for n in range(100))])
    assert len(fingerprint_of(long)) == FINGERPRINT
    assert likeness(fingerprint_of(long), fingerprint_of(copy)) > 0.6
    other = " ".join(f"y{n}" for n in range(600))
    assert likeness(fingerprint_of(long), fingerprint_of(other)) == 0.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8), st.randoms())
def test_the_order_of_records_changes_no_voice(pairs: list[tuple[int, int]], rng: object) -> None:
    made = [
        replace(record(source, text=TEXTS[text]), item_id=f"n{n}")
        for n, (source, text) in enumerate(pairs)
    ]
    groups = {frozenset(r.item_id for r in group) for group in voices(made)}
    for turned in itertools.islice(itertools.permutations(made), 10):
        assert {frozenset(r.item_id for r in group) for group in voices(turned)} == groups
