"""The reader task: from one stranger's text to one record, and nothing beside it.

The reader has no tools, no memory and no secrets, and is told of one item only. Its answer is
checked against what was asked: an item that is not the one shown, a symbol that was not offered or
a quote that is not in the text is no reading, and becomes the record that says nothing. So a reader
that obeys its text can tilt two numbers, and no more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from roboinvest.core.errors import BadReply
from roboinvest.core.market.values import NewsItem
from roboinvest.core.news.events import kind_of
from roboinvest.core.news.records import QUOTE_CHARS, EventKind, NewsRecord
from roboinvest.core.news.sources import fingerprint_of, source_of
from roboinvest.core.quant.sentiment import weigh
from roboinvest.core.tasks import RULES, SAFE, Task, TaskLimits
from roboinvest.core.text.cleaning import clean

HEADLINE_CHARS: Final = 400
SUMMARY_CHARS: Final = 3_000
MOST_SYMBOLS: Final = 20  # offered for one item
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,79}")
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsText:
    """One item as the reader gets it: clean text, and what it may answer."""

    ref: str  # a short name of our own for the item; its id is a stranger's
    item_id: str  # see `name_of`
    source: str  # see `sources.source_of`
    published_at: datetime  # UTC
    headline: str
    summary: str
    symbols: tuple[str, ...]  # those of the universe that the item names, sorted

    @property
    def text(self) -> str:
        """Return headline and summary."""
        return f"{self.headline}; {self.summary}" if self.summary else self.headline


class Reading(BaseModel):
    """What a reader fills in."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    item: str = Field(max_length=40, description="the item's name as given")
    symbols: list[str] = Field(
        max_length=MOST_SYMBOLS, description="the offered symbols that the text is about"
    )
    event: EventKind
    sentiment: Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)] = Field(
        description="-1 very bad for the holder of the shares, 0 neither, 1 very good"
    )
    confidence: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = Field(
        description="0 not understood, 1 no doubt"
    )
    quote: str = Field(
        max_length=QUOTE_CHARS, description="the words that decided, copied, or an empty text"
    )


def news_text(item: NewsItem, universe: Iterable[str]) -> NewsText:
    """Return an item as the reader gets it."""
    return NewsText(
        ref=_hashed(item.item_id),
        item_id=name_of(item.item_id),
        source=source_of(item.source),
        published_at=item.published_at,
        headline=clean(item.headline, HEADLINE_CHARS),
        summary=clean(item.summary, SUMMARY_CHARS),
        symbols=tuple(sorted(set(item.symbols) & set(universe)))[:MOST_SYMBOLS],
    )


def name_of(item_id: str) -> str:
    """Return an item's id where it is one plain word, else a name made of it: it is hostile too."""
    return item_id if _PLAIN_ID.fullmatch(item_id) else f"id-{_hashed(item_id)}"


def read_by_rules(inputs: NewsText) -> NewsRecord:
    """Return the record that the lexicon makes of the text.

    Its confidence is the share of the evidence that is not contradicted by the rest: the weight of
    the known words with their signs, over their weight without.
    """
    evidence = weigh(inputs.text)
    return _record(
        inputs,
        symbols=inputs.symbols,
        event=kind_of(inputs.text),
        sentiment=round(evidence.score, _DIGITS) + 0.0,
        confidence=round(evidence.agreement, _DIGITS),
        reader=RULES,
    )


def say_nothing(inputs: NewsText) -> NewsRecord:
    """Return the record of an item that was not understood."""
    return _record(
        inputs,
        symbols=inputs.symbols,
        event=EventKind.OTHER,
        sentiment=0.0,
        confidence=0.0,
        reader=SAFE,
    )


def read_form(inputs: NewsText, form: Reading) -> NewsRecord:
    """Return the record that a model filled in.

    Raises:
        BadReply: it is about another item, names a symbol that was not offered, or quotes what is
            not in the text; the message holds none of the model's words.
    """
    if form.item != inputs.ref:
        raise BadReply("the answer is about another item than the one shown; repeat its name")
    unknown = len(set(form.symbols) - set(inputs.symbols))
    if unknown:
        raise BadReply(
            f"the answer names {unknown} symbols that were not offered; "
            f"the {len(inputs.symbols)} that were are all there is"
        )
    quote = clean(form.quote, QUOTE_CHARS)
    if quote not in f"{inputs.text}\n{inputs.headline}\n{inputs.summary}":
        raise BadReply("the quote is not in the text; copy it to the letter, or leave it empty")
    return _record(
        inputs,
        symbols=tuple(sorted(set(form.symbols))),
        event=form.event,
        sentiment=round(form.sentiment, _DIGITS) + 0.0,
        confidence=round(form.confidence, _DIGITS) + 0.0,
        reader="model",
        quote=quote,
    )


def _hashed(item_id: str) -> str:
    return hashlib.blake2b(item_id.encode(errors="replace"), digest_size=8).hexdigest()


def _record(
    inputs: NewsText,
    *,
    symbols: tuple[str, ...],
    event: EventKind,
    sentiment: float,
    confidence: float,
    reader: str,
    quote: str = "",
) -> NewsRecord:
    return NewsRecord(
        item_id=inputs.item_id,
        symbols=symbols,
        event=event,
        sentiment=sentiment,
        confidence=confidence,
        source=inputs.source,
        published_at=inputs.published_at,
        fingerprint=fingerprint_of(inputs.text),
        reader=reader,
        quote=quote,
    )


def _shown(inputs: NewsText) -> Mapping[str, object]:
    """Return the prompt's placeholders; all but the text is ours."""
    return {
        "item": inputs.ref,
        "source": inputs.source or "unknown",
        "published_at": inputs.published_at,
        "symbols": list(inputs.symbols),
        "events": [kind.value for kind in EventKind],
        "text": inputs.text,
    }


READ_NEWS: Final = Task(
    name="read_news",
    input_type=NewsText,
    output_type=NewsRecord,
    prompt="reader/read_news",
    rule=read_by_rules,
    safe=say_nothing,
    form=Reading,
    show=_shown,
    read=read_form,
    untrusted=frozenset({"text"}),
    role="reader",
    limits=TaskLimits(prompt_bytes=24 * 1024, reply_tokens=400, deadline_s=15.0, tool_rounds=0),
)
