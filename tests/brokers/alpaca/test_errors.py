"""What a failed call means: only the broker's own readable refusal is a refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from alpaca.common.exceptions import APIError
from hypothesis import given
from hypothesis import strategies as st
from requests.exceptions import ChunkedEncodingError, ConnectTimeout, HTTPError, ReadTimeout

from roboinvest.brokers.alpaca.errors import (
    CALL_FAILURES,
    Failure,
    KeysRefused,
    ReadFailed,
    Unreadable,
    failure_of,
)
from roboinvest.core.errors import TryLater
from roboinvest.core.venue import OutcomeKind
from roboinvest.runtime.vendors.calls import NotSent


def answered(status: int, body: str, headers: dict[str, str] | None = None) -> Failure:
    """Return what the client's error for such an answer means."""
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    error = APIError(body, HTTPError(response=response))  # type: ignore[no-untyped-call]
    assert isinstance(error, CALL_FAILURES)
    return failure_of(error, lambda text: text)


def refusal(code: int | None, message: str) -> str:
    return json.dumps({"message": message} | ({} if code is None else {"code": code}))


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, 40310000, "insufficient buying power"),
        (403, 40310000, "new orders are rejected by user request"),
        (403, 40310100, "trade denied due to pattern day trading protection"),
        (422, 40010001, "limit orders require only limit price"),
        (422, 42210000, 'asset "X" is not tradable'),
        (400, 40010000, "request body format is invalid"),
        (404, 40410000, "position does not exist"),
        (422, None, "invalid limit, limit must be between 1 and 10000"),
    ],
)
def test_a_readable_refusal_of_the_broker_is_definitive(
    status: int, code: int | None, message: str
) -> None:
    failure = answered(status, refusal(code, message))
    assert failure.is_definitive
    assert failure.outcome().kind is OutcomeKind.REJECTED
    assert failure.code == (str(code) if code else f"http-{status}")
    assert message in failure.text
    assert not failure.is_duplicate


def test_a_taken_client_order_id_says_that_the_order_may_be_there() -> None:
    """A3."""
    outcome = answered(422, refusal(40010001, "client_order_id must be unique")).outcome()
    assert (outcome.kind, outcome.is_duplicate) == (OutcomeKind.REJECTED, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, refusal(40110000, "access key verification failed")),
        (403, refusal(None, "forbidden.")),
    ],
)
def test_refused_keys_are_told_apart_with_what_to_do(status: int, body: str) -> None:
    failure = answered(status, body)
    assert (failure.code, failure.is_definitive) == ("auth", True)
    assert "check the keys" in failure.text
    assert isinstance(failure.error("account"), KeysRefused)


@pytest.mark.parametrize("status", [408, 409, 418, 425, 429, 500, 502, 503, 504, 599])
@pytest.mark.parametrize(
    "body", [refusal(42910000, "rate limit exceeded"), refusal(40310000, "insufficient"), ""]
)
def test_a_5xx_or_429_never_rejects_an_order_whatever_its_body(status: int, body: str) -> None:
    """I-ORD-6."""
    outcome = answered(status, body).outcome()
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, f"http-{status}")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
@pytest.mark.parametrize(
    "body",
    [
        "<html><body>403 Forbidden</body></html>",
        "",
        "{",
        "null",
        "[]",
        '"no"',
        "{}",
        '{"code": 40310000}',
        '{"message": 7}',
        "[" * 200_000,
    ],
)
def test_a_refusal_that_is_not_in_the_brokers_form_rejects_nothing(status: int, body: str) -> None:
    assert answered(status, body).outcome().kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ReadTimeout("x"), "timeout"),
        (ConnectTimeout("x"), "timeout"),
        (TimeoutError("x"), "timeout"),
        (TryLater("x"), "timeout"),
        (requests.ConnectionError("x"), "connection"),
        (ChunkedEncodingError("x"), "connection"),
        (ConnectionResetError("x"), "connection"),
        (requests.JSONDecodeError("x", "", 0), "unreadable"),
        (UnicodeDecodeError("utf-8", b"", 0, 0, "x"), "unreadable"),
        (RecursionError("x"), "unreadable"),
        (Unreadable("qty is missing"), "unreadable"),
        (NotSent("x"), "not-sent"),
    ],
)
def test_what_broke_on_the_way_is_unknown(error: Exception, code: str) -> None:
    """I-ORD-6."""
    assert isinstance(error, CALL_FAILURES)
    outcome = failure_of(error, lambda text: text).outcome()
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, code)


@given(status=st.integers(100, 599), body=st.text(max_size=60))
def test_no_answer_at_all_breaks_the_classification(status: int, body: str) -> None:
    failure = answered(status, body)
    if failure.is_definitive:
        assert 400 <= status < 500
        assert isinstance(json.loads(body)["message"], str)


def test_the_patience_that_the_broker_asks_for_is_passed_on() -> None:
    assert answered(429, "", {"Retry-After": "17"}).outcome().retry_after_s == 17
    assert answered(429, "", {"Retry-After": "Fri, 31 Dec 1999"}).outcome().retry_after_s is None
    assert answered(429, "").outcome().retry_after_s is None


def test_the_brokers_words_are_cut_to_a_line_and_carry_no_secret() -> None:
    body = refusal(40310000, f"key hunter2 is bad\n{'x' * 5_000}")
    response = requests.Response()
    response.status_code = 403
    error = APIError(body, HTTPError(response=response))  # type: ignore[no-untyped-call]
    failure = failure_of(error, lambda text: text.replace("hunter2", "***"))
    assert "hunter2" not in failure.text
    assert "\n" not in failure.text
    assert len(failure.text) < 400


def test_a_read_error_carries_the_failure_and_what_was_read() -> None:
    error = answered(503, "").error("positions")
    assert isinstance(error, ReadFailed)
    assert isinstance(error, TryLater)
    assert str(error).startswith("alpaca: positions: answered with status 503")
    assert error.failure.code == "http-503"


@pytest.mark.parametrize("name", ["error_bodies.jsonl", "error_bodies_assumed.jsonl"])
def test_every_recorded_error_body_is_classified_as_its_status_says(
    contracts: Path, name: str
) -> None:
    lines = (contracts / "recorded" / name).read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["provider"] == "alpaca"]
    assert rows
    for row in rows:
        failure = answered(row["status"], json.dumps(row["body"]))
        assert failure.is_definitive is (row["status"] != 429), row
        assert failure.is_auth is (row["body"] == {"message": "forbidden."}), row
