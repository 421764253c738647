from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.runtime.redaction import MASK, Redactor

CANARY = "canary-7f3a9c"
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "text",
    [
        "key sk-proj-abcdefghijklmnop1234",
        "GET /v2?symbol=SPY&apiKey=abcd1234efgh",
        "Authorization: Bearer abcdefgh.12345678",
        '{"api_key": "abcd1234efgh"}',
        "{'token': 'abcd1234efgh'}",
        "APCA-API-KEY-ID: abcd1234efgh",
        "apca-api-secret-key=abcd1234efgh",
        "AKIAABCDEFGHIJKLMNOP",
        "PKABCDEF0123456789AB",
        "password=abcd1234efgh",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
        "-----BEGIN RSA PRIVATE KEY-----\nabcd1234efgh\n-----END RSA PRIVATE KEY-----",
        "https://ann:abcd1234efgh@example.test/x",
    ],
)
def test_what_has_the_shape_of_a_secret_is_cut_out(text: str) -> None:
    cut = Redactor().text(text)
    assert MASK in cut
    for part in ("abcd1234efgh", "abcdefghijklmnop", "ABCDEFGHIJKLMNOP", "12345678.", "IxMjM0"):
        assert part not in cut


@pytest.mark.parametrize(
    "text",
    [
        "order_filled",
        "20110103T143100Z-SPY-entry",
        "SPY fell to 431.17 after 3 tokens of news",
        "https://example.test/a?b=c",
        "budget 0.10 USD, prompt_tokens: 812",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor([CANARY]).text(text) == text


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "OPENAI_API_KEY", "x-secret", "token", "Authorization", "pwd"]
)
def test_a_field_with_a_telling_name_loses_its_value(name: str) -> None:
    event = Redactor().event({"event": "e", "request": {"headers": {name: "abc"}}})
    assert event["request"] == {"headers": {name: MASK}}


def test_fields_that_only_sound_alike_keep_theirs() -> None:
    fields = {"prompt_tokens": 5, "key": "service.feed", "keyword": "x", "secretary": "y"}
    assert Redactor().event(fields) == fields


@given(tree=PLAIN, name=st.text())
def test_a_configured_secret_never_survives_and_what_remains_is_json(
    tree: object, name: str
) -> None:
    event = Redactor([CANARY]).event({"event": f"failed for {CANARY}!", name: tree})
    line = json.dumps(event, allow_nan=False)
    assert CANARY not in line


def test_a_short_or_numeric_secret_is_hidden_where_it_stands_alone() -> None:
    redactor = Redactor(["1234"])
    assert redactor.event({"pin": 1234, "text": "1234", "count": 12345}) == {
        "pin": MASK,
        "text": MASK,
        "count": 12345,
    }


def test_objects_cycles_and_giants_become_short_plain_text() -> None:
    class Order:
        def __repr__(self) -> str:
            return f"Order(key={CANARY})"

    loop: dict[str, object] = {}
    loop["self"] = loop
    event = Redactor([CANARY]).event(
        {"order": Order(), "loop": loop, "page": "x" * 100_000, "rows": list(range(10_000))}
    )
    line = json.dumps(event)
    assert CANARY not in line
    assert len(line) < 40_000


def test_what_is_logged_is_a_copy(  # a caller may go on changing its own
) -> None:
    books = {"cash": [1, 2]}
    event = Redactor().event({"books": books})
    books["cash"].append(3)
    assert event["books"] == {"cash": [1, 2]}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("flood", ["eyJ-", "eyJaaaaaaaa.", "apca-api-", "://a:", "token ", "sk-"])
def test_a_flood_of_beginnings_does_not_hold_up_the_house(flood: str) -> None:
    text = flood * (600_000 // len(flood))  # where every start looked to the end: many minutes
    assert len(Redactor((CANARY,)).whole(text + CANARY)) > 0
    assert CANARY not in Redactor((CANARY,)).whole(text + CANARY)
