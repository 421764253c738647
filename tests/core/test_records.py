"""Equal facts give equal digests; what is incidental is not a fact."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from roboinvest.core.records import EMPTY_DIGEST, canonical_json, chain_digest, to_plain


@dataclass(frozen=True)
class Thing:
    name: str
    price: Decimal
    cost_usd: Decimal = Decimal(0)
    latency_ms: float = 0.0


def test_money_keeps_its_value_and_loses_its_trailing_zeros() -> None:
    assert canonical_json([Decimal("1.50"), Decimal("1E+3"), Decimal("-0.00")]) == (
        '["1.5","1000","0"]'
    )


def test_keys_are_sorted_and_instants_are_iso() -> None:
    text = canonical_json({"b": datetime(2024, 1, 2, tzinfo=UTC), "a": -0.0})
    assert text == '{"a":0.0,"b":"2024-01-02T00:00:00+00:00"}'


def test_not_a_number_becomes_null_and_infinity_is_refused() -> None:
    assert canonical_json([float("nan")]) == "[null]"
    with pytest.raises(ValueError, match="JSON"):
        canonical_json([float("inf")])


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no plain form"):
        canonical_json(object())


def test_cost_and_latency_are_not_in_the_digest_but_everything_else_is() -> None:
    thing = Thing("a", Decimal(1))
    same = Thing("a", Decimal("1.0"), cost_usd=Decimal(5), latency_ms=3.0)
    other = Thing("a", Decimal("1.0001"))
    digests = [chain_digest(EMPTY_DIGEST, to_plain([each])) for each in (thing, same, other)]
    assert digests[0] == digests[1] != digests[2]


def test_the_chain_depends_on_everything_before() -> None:
    first = chain_digest(EMPTY_DIGEST, "a")
    assert chain_digest(first, "b") != chain_digest(chain_digest(EMPTY_DIGEST, "b"), "a")


@pytest.mark.parametrize("seed", ["0", "1", "12345"])
def test_the_digest_is_the_same_for_any_hash_seed(seed: str) -> None:
    program = (
        "from roboinvest.core.records import chain_digest;"
        "print(chain_digest('', {'x': {'b': 1, 'a': [1.5, 'z']}, 'y': 'q'}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": seed},
    )
    assert found.stdout.strip() == chain_digest("", {"y": "q", "x": {"a": [1.5, "z"], "b": 1}})
