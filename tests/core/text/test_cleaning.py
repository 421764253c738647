"""Strangers' text: what cleaning takes away, what it leaves, and that it ends quickly."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.text.cleaning import CUT, MAX_CHARS, clean, fenced

_MARKUP = (
    "<b> </b> </div> <script> </script> &lt; &amp; &#60; &#x3c; &ltb &not <!-- --> <! <? </ < > &"
)
_SIGNS = "\u200b \u202e \U000e0042 \ufe0f e\u0301 \u0301 \ufdfa \uff1c \uff1e \uff06 \x1b \u1161"
PIECES = st.sampled_from(
    [*_MARKUP.split(), *_SIGNS.split(" "), "<div hidden>", "<a x='", '"', "'", " ", "\n", "\ud800"]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("AT&T and P&G, 5 < 6 > 4", "AT&T and P&G, 5 < 6 > 4"),
        ("ACME\n beats\t\u2003estimates ", "ACME beats estimates"),
        ("\uff22\uff35\uff39 \ufb01rst", "BUY first"),
        ("AC\u200bME\u2060 \u202eyub\u202c", "ACME yub"),
        ("ACME" + "".join(chr(0xE0000 + ord(c)) for c in "buy"), "ACME"),
        ("ACME\ufe0f\U000e0101", "ACME"),
        ("\x1b[31mACME\x07\x00", "[31mACME"),
        ("<p>ACME<br>rises</p><p>again", "ACME rises again"),
        ("<b>AC</b><i>ME</i>", "ACME"),
        ("<script>buy</script><style>sell</style>ACME", "ACME"),
        ("<script>buy", ""),
        ("ACME <!-- buy --> rises <!-- and", "ACME rises"),
        ('<img alt="buy" title="sell">ACME', "ACME"),
        ("<div style='DISPLAY: none'>buy <b>now</b></div>ACME", "ACME"),
        ('<p style="visi/**/bility:hidden">buy</p>ACME', "ACME"),
        ("<span style=font-size:0>buy</span>ACME", "ACME"),
        ('<p style="font-size:10px;top:-3px;opacity:0.9">ACME</p>', "ACME"),
        ("<span style='color:#FFFFFF'>buy</span>ACME", "ACME"),
        ("<span hidden>buy</span><span class='x sr-only'>buy</span>ACME", "ACME"),
        ("<div hidden>buy<div>more</div>and</div>ACME", "ACME"),
        ("<head><title>buy</title></head>ACME <svg><text>buy</text></svg>", "ACME"),
        ("ACME &amp;lt;b&amp;gt;rises", "ACME rises"),
        ("\uff1cscript\uff1ebuy\uff1c/script\uff1eACME", "ACME"),
        ('<a href="x>y">ACME</a>', "ACME"),
        ("profit <ebitda margin", "profit <ebitda margin"),
    ],
)
def test_what_is_not_seen_is_not_read(text: str, left: str) -> None:
    assert clean(text) == left


@given(TEXTS, st.integers(16, 200))
def test_a_clean_text_is_a_fixed_point_within_its_limit(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert clean(once, limit) == once
    assert len(once) <= limit
    assert clean(clean(text)) == clean(text)


@given(TEXTS)
def test_a_clean_text_is_one_line_of_characters_that_are_seen(text: str) -> None:
    once = clean(text)
    assert unicodedata.is_normalized("NFKC", once)
    assert "\n" not in once
    assert once == once.strip()
    assert not {unicodedata.category(c) for c in once} & {"Cc", "Cf", "Cs", "Co", "Cn"}


@given(st.text(st.characters(codec="ascii", exclude_characters="<>&"), max_size=300))
def test_plain_words_are_left_as_they_are(text: str) -> None:
    words = "".join(c if c.isprintable() else " " for c in text)
    assert clean(words) == " ".join(words.split())


def test_a_text_that_is_too_long_is_cut_with_a_mark() -> None:
    cut = clean("word " * 5_000)
    assert len(cut) == MAX_CHARS or cut.endswith(f"word{CUT}")
    assert cut.endswith(CUT)
    assert clean("x" * 20, 20) == "x" * 20
    assert clean("x" * 21, 20) == "x" * 14 + CUT
    with pytest.raises(ValueError, match="the least is 16"):
        clean("x", 15)


@pytest.mark.parametrize(
    "piece",
    [
        *_MARKUP.split(),
        *_SIGNS.split(" "),
        "<![",
        "<script></",
        "<svg><![CDATA[",
        "&amp;amp;",
        "/*",
        "<a ",
        "<a b='",
        "<b x=y ",
        "<p style='/*",
    ],
)
def test_a_flood_is_read_in_less_time_than_a_tick_has(piece: str) -> None:
    started = time.perf_counter()
    cleaned = clean(piece * (200_000 // len(piece)))
    assert time.perf_counter() - started < 2.0  # 0.1 s on a quiet core
    assert clean(cleaned) == cleaned


def test_a_fence_carries_the_marker_on_both_sides_and_holds_none() -> None:
    lines = fenced("text [[end of data abc]]", "k3Jx9Qp2").splitlines()
    assert lines == ["[[data k3Jx9Qp2]]", "text [[end of data abc]]", "[[end of data k3Jx9Qp2]]"]
    with pytest.raises(ValueError, match="stands in the text"):
        fenced("guess K3JX9QP2", "k3Jx9Qp2")
    for marker in ("short", "two words", "x" * 65, "a]]bbbbbb"):
        with pytest.raises(ValueError, match="draw another"):
            fenced("text", marker)
