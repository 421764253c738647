"""Strangers' words reach a person's terminal as letters and nothing else; secrets never do."""

from __future__ import annotations

import json
import random
import time
import unicodedata
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.records import plain_json
from roboinvest.runtime.redaction import MASK, Redactor
from roboinvest.trading.explain.plain import lines_of, one_line
from tests.fakes.spending import a_call, an_ask, paid
from tests.fakes.told import BUY_TICK, ToldFolder, buys_at, lived, page, texts_in

SEED = 20240305
CANARY = "canary-4f1d9b7e2a"
NASTY = (
    "\x1b[2J\x1b[H\x1b[31mSELL\x1b]0;owned\x07\x1b]8;;http://x\x1b\\link\x9b2K\x00\x08\r\n"
    "\u202eesrever\u2066\u200bzero\ufeff\ue000[bold red]markup[/] \ud800 end"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\x1bPq#0;2;0\x1b\\sixel", "sixel"),
        ("\x1b]0;never closed", "0;never closed"),
        ("\x9b31mred\x9d0;t\x9cx", "redx"),
        ("a\r\nb\rc\u2028d\x85e", "a b c d e"),
        ("a\tb", "a b"),
        ("to\u202egnp.exe", "tognp.exe"),
        ("z\u200bw\u2060j\ufeff\u00ad", "zwj"),
        ("half \ud83d of it", "half of it"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
        ("\u65e5\u672c \u00e9t\u00e9 \u20ac", "\u65e5\u672c \u00e9t\u00e9 \u20ac"),
        ("[bold]stays[/bold]", "[bold]stays[/bold]"),
        ("\u3164\u115f", ""),
    ],
)
def test_a_text_is_shown_without_what_acts(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_lines_stay_where_they_are_meant() -> None:
    assert lines_of("one\r\ntwo\n\n\x1b[1mthree\tx") == "one\ntwo\n\nthree    x"


def test_whatever_comes_nothing_unseen_is_left_and_it_is_a_fixed_point() -> None:
    rng = random.Random(SEED)
    parts = ["\x1b", "\x9b", "[", "]", ";", "0", "m", "\x07", "\\", "a", "\n", "\u202e", "\u0301"]
    for _ in range(3_000):
        text = "".join(rng.choices(parts, k=rng.randint(0, 30)))
        shown = lines_of(text)
        seen = {unicodedata.category(c) for c in shown if c != "\n"}
        assert not seen & {"Cc", "Cf", "Cs", "Co", "Cn"}, (SEED, text)
        assert lines_of(shown) == shown, (SEED, text)


@pytest.mark.parametrize("unit", ["\x1b]", "\x1b[", "\x1b[0", "\x9d0", "\u0301", "\x1bP a"])
def test_a_flood_is_cleaned_in_no_time(unit: str) -> None:
    began = time.perf_counter()
    lines_of(unit * (300_000 // len(unit)))
    assert time.perf_counter() - began < 5.0


async def hostile(tmp_path: Path, folder: ToldFolder, text: str) -> None:
    """Keep a tick whose every free text is `text`, with an ask and its call about it."""
    one = await lived(tmp_path, buys_at(2), 4)
    bought = one.commits[1]
    body = json.loads(bought.record.body or "{}")
    (decision,) = body["decisions"]
    reason = {"name": text, "score": 0.5, "weight": 1.0, "text": text}
    decision |= {"summary": text, "source": text, "reasons": [reason]}
    body |= {
        "state_reason": text,
        "suspended": {"SPY": text},
        "news": {"SPY": {"tone": 1.0, "voices": [{"source": text}], "records": [text]}},
        "news_read": [{"item_id": text, "quote": text, "source": text, "reader": text}],
        "rejected": [text],
    }
    for clamp in body["clamps"]:
        clamp["text"] = text
    record = replace(bought.record, body=plain_json(body))
    told = text.encode("utf-8", "replace").decode()  # as a column can hold it
    orders = tuple(replace(order, note=told) for order in bought.orders)
    memories = tuple(replace(memory, text=told) for memory in bought.memories)
    await folder.keep(
        [one.commits[0], replace(bought, record=record, orders=orders, memories=memories)]
    )
    ask = an_ask(1, about=BUY_TICK, source=text, reason=text, prompt_name=text, looked_up=(text,))
    call = a_call(1, model=text, purpose=text)
    await folder.keep_ask(ask, (call, paid("0.01", prompt=text, reply=text, failure=text)))


def acting(texts: list[str]) -> list[str]:
    """Return the texts that hold anything but letters and lines."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn"}
    return [t for t in texts if any(unicodedata.category(c) in hidden for c in t if c != "\n")]


async def test_no_text_of_a_story_acts_on_a_terminal(tmp_path: Path, folder: ToldFolder) -> None:
    await hostile(tmp_path, folder, NASTY)
    for what in (BUY_TICK, f"{BUY_TICK}/SPY", "SPY"):
        story = await folder.story(what)
        texts = texts_in(story.model_dump(mode="json"))
        assert acting(texts) == []
        assert acting([page(story, full=True)]) == []
        assert story.gaps == ()
        assert sum("esrever" in text for text in texts) > 20


async def test_what_was_typed_is_cleaned_too(tmp_path: Path, folder: ToldFolder) -> None:
    await hostile(tmp_path, folder, "x")
    with pytest.raises(BadInput) as refused:
        await folder.story("last\x1b[2J\u202e")
    assert "'last'" in str(refused.value)


async def test_a_configured_secret_is_cut_out_of_every_text(
    tmp_path: Path, folder: ToldFolder
) -> None:
    await hostile(tmp_path, folder, f"the key is {CANARY[:9]}\u200b{CANARY[9:]}, use it")
    story = await folder.story(BUY_TICK, redact=Redactor([CANARY]).whole)
    texts = [*texts_in(story.model_dump(mode="json")), page(story, full=True)]
    assert not [text for text in texts if CANARY in text]
    assert sum(MASK in text for text in texts) > 20


async def test_what_has_the_shape_of_a_key_is_cut_out_without_being_configured(
    tmp_path: Path, folder: ToldFolder
) -> None:
    key = f"sk-{CANARY}{CANARY}"
    await hostile(tmp_path, folder, f"{key} and more")
    story = await folder.story(BUY_TICK, redact=Redactor().whole)
    assert CANARY not in json.dumps(story.model_dump(mode="json"))


async def test_a_long_prompt_is_told_to_its_end(tmp_path: Path, folder: ToldFolder) -> None:
    one = await lived(tmp_path, buys_at(2), 3)
    await folder.keep(one.commits)
    prompt = "\n".join(f"line {number}" for number in range(20_000))
    call = (a_call(1), paid("0.01", prompt=prompt, reply="yes"))
    await folder.keep_ask(an_ask(1, about=BUY_TICK, cost_usd=Decimal("0.01")), call)
    story = await folder.story(BUY_TICK, redact=Redactor([CANARY]).whole)
    assert story.asks[0].calls[0].prompt == prompt


def test_the_fakes_tell_texts_from_figures() -> None:
    tree: Any = {"a": ["b", 1, {"c": ("d",)}]}
    assert texts_in(tree) == ["a", "b", "c", "d"]
