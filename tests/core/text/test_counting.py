"""A number and its noun agree."""

from __future__ import annotations

import pytest

from roboinvest.core.text.counting import counted


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 round trips"), (1, "1 round trip"), (2, "2 round trips"), (3_900, "3,900 round trips")],
)
def test_one_is_singular_and_all_else_is_not(n: int, said: str) -> None:
    assert counted(n, "round trip") == said


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert [counted(n, "day by itself", "days by themselves") for n in (1, 2)] == [
        "1 day by itself",
        "2 days by themselves",
    ]
