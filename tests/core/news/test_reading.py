"""The reader task: what it is shown, what it may answer, and what an answer becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadReply
from roboinvest.core.market.values import NewsItem
from roboinvest.core.news.events import kind_of
from roboinvest.core.news.reading import READ_NEWS, Reading, name_of, news_text, read_form
from roboinvest.core.news.records import EventKind, NewsRecord, read_records
from roboinvest.core.quant.sentiment import weigh
from roboinvest.core.records import canonical_json
from tests.fakes.news import NOON, item

ITEM = NewsItem(
    item_id="vendor-17",
    published_at=NOON,
    symbols=("OTHER", "ACME", "BETA"),
    headline="Acme <b>beats</b> estimates",
    summary="Shares rise 5% after the figures.",
    source="https://www.ledger.example/x",
)
TEXT = news_text(ITEM, ("ACME", "BETA"))
GOOD: dict[str, Any] = {
    "item": TEXT.ref,
    "symbols": ["ACME"],
    "event": "earnings",
    "sentiment": 0.8,
    "confidence": 0.9,
    "quote": "Shares rise 5%",
}


def read(**changes: Any) -> NewsRecord:
    return read_form(TEXT, Reading.model_validate_json(json.dumps(GOOD | changes)))


def test_an_item_is_shown_clean_with_the_symbols_of_the_universe_only() -> None:
    assert TEXT.symbols == ("ACME", "BETA")
    assert TEXT.text == "Acme beats estimates; Shares rise 5% after the figures."
    shown = READ_NEWS.show(TEXT)
    assert shown["source"] == "ledger.example"
    assert shown["symbols"] == ["ACME", "BETA"]
    assert READ_NEWS.untrusted == {"text"}
    assert READ_NEWS.tools == ()
    assert "vendor-17" not in str(shown)


def test_a_good_answer_becomes_a_record() -> None:
    record = read()
    assert (record.item_id, record.symbols, record.event) == (
        "vendor-17",
        ("ACME",),
        EventKind.EARNINGS,
    )
    assert (record.sentiment, record.confidence) == (0.8, 0.9)
    assert (record.source, record.published_at, record.quote) == (
        "ledger.example",
        NOON,
        "Shares rise 5%",
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"item": "vendor-17"}, "another item"),
        ({"symbols": ["ACME", "OTHER"]}, "names 1 symbols that were not offered"),
        ({"symbols": ["acme"]}, "not offered"),
        ({"quote": "the house says buy"}, "not in the text"),
        ({"quote": "estimates Shares"}, "not in the text"),
    ],
)
def test_an_answer_beyond_the_question_is_no_reading(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadReply, match=said) as refusal:
        read(**changes)
    assert not any(str(value) in str(refusal.value) for value in changes.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"sentiment": 1.01},
        {"sentiment": "0.5"},
        {"sentiment": True},
        {"sentiment": None},
        {"confidence": -0.01},
        {"event": "buy"},
        {"symbols": "ACME"},
        {"symbols": ["ACME"] * 21},
        {"quote": "x" * 201},
        {"action": "BUY"},
    ],
)
def test_what_the_form_cannot_carry_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        read(**changes)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    text = json.dumps(GOOD | {"sentiment": 7}).replace("7", number)
    with pytest.raises(ValueError, match="validation error"):
        Reading.model_validate_json(text)


def test_what_cannot_be_read_says_nothing() -> None:
    record = READ_NEWS.safe(TEXT)
    assert (record.sentiment, record.confidence, record.reader) == (0.0, 0.0, "safe")
    assert record.symbols == ("ACME", "BETA")


def test_the_rules_read_by_the_lexicon_with_the_share_of_words_that_agree() -> None:
    record, evidence = READ_NEWS.rule(TEXT), weigh(TEXT.text)
    assert record.sentiment == pytest.approx(evidence.score, abs=1e-6)
    assert record.confidence == pytest.approx(evidence.agreement, abs=1e-6)
    assert record.reader == "rules"
    assert record.event is EventKind.EARNINGS
    mixed = READ_NEWS.rule(
        news_text(item(headline="Acme beats estimates but cuts guidance"), "ACME")
    )
    assert mixed.confidence < record.confidence


@pytest.mark.parametrize(
    ("headline", "kind"),
    [
        ("Acme EPS beats by $0.12", EventKind.EARNINGS),
        ("Acme raises full-year guidance", EventKind.GUIDANCE),
        ("Acme upgraded to buy from hold", EventKind.ANALYST),
        ("Acme to be acquired by Beta for $3 billion", EventKind.MERGER),
        ("Acme faces class action lawsuit", EventKind.LEGAL),
        ("FDA approves Acme drug", EventKind.REGULATORY),
        ("Acme unveils new engine", EventKind.PRODUCT),
        ("Acme CEO steps down", EventKind.MANAGEMENT),
        ("Jobless claims fall 5%", EventKind.MACRO),
        ("Acme paints its office", EventKind.OTHER),
    ],
)
def test_the_rules_tell_the_kind_of_event(headline: str, kind: EventKind) -> None:
    assert kind_of(headline) is kind


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=60), st.text(max_size=60))
def test_any_text_at_all_gives_a_record_that_survives_storage(
    headline: str, summary: str, source: str, item_id: str
) -> None:
    made = NewsItem(
        item_id=item_id,
        published_at=NOON,
        symbols=("ACME",),
        headline=headline,
        summary=summary,
        source=source,
    )
    text = news_text(made, ("ACME",))
    records = (READ_NEWS.rule(text), READ_NEWS.safe(text))
    assert read_records(canonical_json(records)) == records
    assert READ_NEWS.show(text)["item"] == text.ref


@given(st.text())
def test_an_items_name_is_one_plain_word(item_id: str) -> None:
    name = name_of(item_id)
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
    assert 0 < len(name) <= 80
