"""The headline scorer: what words say, what hostile text cannot do, and how often it is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.quant import lexicon
from roboinvest.core.quant.sentiment import MAX_CHARS, Evidence, label, score, weigh


@pytest.mark.parametrize(
    "headline",
    [
        "Acme beats estimates on record revenue",
        "Acme EPS beats by $0.12, beats on revenue",
        "Acme raises full-year guidance",
        "Acme upgraded to buy from hold at a large bank",
        "Acme initiated as buy with $55 price target",
        "Acme stock price target raised to $56 vs. $52",
        "Acme shares up 7% premarket",
        "Jobless claims fall 5%",
        "Acme unit costs fall sharply",
        "Acme sales rise 4%",
    ],
)
def test_good_news_is_bullish(headline: str) -> None:
    assert label(headline) == "bullish"


@pytest.mark.parametrize(
    "headline",
    [
        "Acme misses estimates as margins shrink",
        "Acme EPS misses by $0.12, misses on revenue",
        "Acme cuts guidance, warns on demand",
        "Acme downgraded to underweight from neutral",
        "Acme cut to Market Perform",
        "Acme price target lowered to $41 from $52",
        "Acme shares down 7% after hours",
        "Acme files for bankruptcy",
        "Acme unit costs rise sharply",
        "Regulators open fraud probe into Acme, shares slide",
    ],
)
def test_bad_news_is_bearish(headline: str) -> None:
    assert label(headline) == "bearish"


@pytest.mark.parametrize(
    "headline",
    [
        "",
        "Acme to present at an investor conference",
        "Acme declares $0.14 quarterly dividend",
        "Central bank cuts interest rates",
        "10 stocks to buy now, sign up for updates",
        "$BULL $UP $GAIN",
        "https://example.com/shares-soar-record-profit",
    ],
)
def test_news_without_a_side_is_neutral(headline: str) -> None:
    assert label(headline) == "neutral"


def test_a_negation_turns_a_statement_and_weakens_it() -> None:
    assert (
        score("demand is strong") > 0 > score("demand is not strong") > -score("demand is strong")
    )


def test_a_negation_does_not_reach_over_a_clause() -> None:
    assert score("not today; strong demand") == score("strong demand")


def test_adverbs_scale_what_they_stand_before() -> None:
    assert score("slightly weaker") > score("weaker") > score("sharply weaker")


def test_a_movement_takes_its_sign_from_what_moves() -> None:
    assert score("revenue rises") > 0 > score("losses rise")
    assert score("losses narrow") > 0 > score("revenue falls")


def test_the_nearest_subject_decides_a_movement() -> None:
    assert score("profit falls on higher costs") < score("profit falls")


def test_a_subject_of_another_clause_does_not_decide_a_movement() -> None:
    assert score("talk of costs; up 5%") > 0 > score("costs up 5%")


def test_what_stands_before_a_movement_wins_a_tie() -> None:
    assert score("sales fall costs") < 0 < score("costs fall sales")


def test_figures_are_compared_in_one_unit() -> None:
    assert score("EPS $1.00 vs. 40 cents a year ago") > 0 > score("EPS 40 cents vs. $1.00")
    assert score("Revenue $900 mln vs. $1.1 bln a year ago") < 0


def test_a_smaller_loss_is_good_news() -> None:
    assert score("net loss of $1.10 vs. $1.90") > score("net loss of $1.90 vs. $1.10")


def test_a_question_states_less() -> None:
    assert 0 < score("Acme beats estimates?") < score("Acme beats estimates")


def test_compatibility_characters_and_invisible_ones_hide_nothing() -> None:
    plain = score("Acme beats estimates")
    assert score("Acme \uff42\uff45\uff41\uff54\uff53 estimates") == plain  # full-width letters
    assert score("Acme be\u200bats esti\u00admates") == plain
    assert score("\x00Acme\x1b beats\n\testimates\x07") == plain


def test_text_beyond_the_cap_is_not_read() -> None:
    padding = "word " * (MAX_CHARS // 5)
    assert score(padding + " bankruptcy fraud downgraded") == 0.0


@given(st.text(max_size=2000))
def test_any_text_scores_in_the_unit_interval(text: str) -> None:
    assert -1.0 <= score(text) <= 1.0
    assert score(text) == score(text)


@given(st.lists(st.sampled_from(["$", "%", "+", "-", "1", "vs", "to", "from", "buy", "up"])))
def test_any_sequence_of_pattern_words_scores_in_the_unit_interval(words: list[str]) -> None:
    assert -1.0 <= score(" ".join(words)) <= 1.0
    assert -1.0 <= score("".join(words)) <= 1.0


def test_no_term_of_the_lexicon_has_two_weights() -> None:
    terms = [" ".join(t.split()) for text in lexicon.PHRASES.values() for t in text.split(";")]
    assert len(terms) == len(set(terms))


def test_terms_are_written_as_the_tokeniser_leaves_them() -> None:
    for weight, text in lexicon.PHRASES.items():
        for term in text.split(";"):
            if weight and len(term.split()) == 1:
                assert score(term) != 0.0, term


def test_words_that_contradict_each_other_agree_on_less() -> None:
    clear, mixed = weigh("Acme upgraded on record revenue"), weigh("Acme upgraded despite a recall")
    assert clear.agreement == 1.0
    assert 0.0 < mixed.agreement < 1.0
    assert weigh("Acme opens an office") == Evidence(score=0.0, agreement=0.0)


def macro_f1(labels: Sequence[str], guesses: Sequence[str]) -> float:
    """Return the mean F1 over the three labels."""
    total = 0.0
    for name in ("bearish", "bullish", "neutral"):
        hits = sum(a == b == name for a, b in zip(labels, guesses, strict=True))
        total += 2 * hits / max(1, labels.count(name) + guesses.count(name))
    return total / 3


@pytest.fixture(scope="module")
def held_out(data_pack: Path) -> tuple[list[str], list[str]]:
    """Return texts and labels of the odd rows, which no weight was ever fitted to."""
    table = pq.read_table(data_pack / "news" / "headlines_labelled.parquet")
    return table["text"].to_pylist()[1::2], table["label"].to_pylist()[1::2]


def test_held_out_headlines_are_labelled_well(held_out: tuple[list[str], list[str]]) -> None:
    texts, labels = held_out
    figure = macro_f1(labels, [label(text) for text in texts])
    print(f"macro F1 on {len(texts)} held-out headlines: {figure:.4f}")
    assert figure >= 0.68


@pytest.mark.parametrize(
    "guess",
    [
        lambda _: "neutral",
        lambda _: "bullish",
        lambda text: ("bearish", "bullish", "neutral")[len(text) % 3],
        lambda text: {"bullish": "bearish", "bearish": "bullish"}.get(label(text), "neutral"),
    ],
    ids=["all_neutral", "all_bullish", "by_length", "reversed"],
)
def test_a_scorer_that_knows_nothing_is_far_below_that(
    held_out: tuple[list[str], list[str]], guess: Callable[[str], str]
) -> None:
    texts, labels = held_out
    assert macro_f1(labels, [guess(text) for text in texts]) < 0.45
