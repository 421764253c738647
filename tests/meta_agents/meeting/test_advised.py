"""Advice that a decision has taken is marked, once, with the instant at which it was done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from meta_agents.meeting.advised import AdviceTaken, answers
from meta_agents.meeting.agreements import Agreements
from roboinvest.core.oversight.advice import Advice, AdviceState, Aim
from roboinvest.core.oversight.decisions import Act, DecisionState
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.analyst_tables import SCHEMA, AdviceBook
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from tests.fakes.clocks import START
from tests.fakes.meetings import Council, ToldModel, council
from tests.fakes.virtual_time import run_virtual
from tests.fakes.wishes import a_wish, lower_limit, quarantine, told

NAMES = {"strategy": "SimpleOrganicStrategyAgent"}


def an_advice(rule: str, subject: str, **fields: Any) -> Advice:
    values: dict[str, Any] = {
        "advice_id": f"{rule}/{subject}",
        "rule": rule,
        "subject": subject,
        "text": "do it",
        "evidence": "figures",
        "metric": "span.mean_s/x",
        "aim": Aim.LOWER,
        "expected": -0.1,
        "expected_text": "less",
        "watch_s": 3_600.0,
        "made_at": START - timedelta(hours=1),
        "deadline": START + timedelta(days=7),
    }
    return Advice(**{**values, **fields})


def looked(folder: Path, advice: Advice, wish: dict[str, Any], *, hours: float = 2.0) -> Any:
    """Hold a meeting with one wish, let it be done, look twice; return the advice and counts."""
    in_flight = InFlight()

    async def main() -> Any:
        with (
            ThreadPoolExecutor(1) as pool,
            OverseerFile.open(folder / FILE_NAME, schemas=[SCHEMA]) as file,
            council(folder, in_flight, ToldModel(told(wish))) as one,
        ):
            book = AdviceBook(file)
            book.add(advice)
            threads = Threads(pool, in_flight)
            link = AdviceTaken(
                book, one.rows, Agreements(one.file, one.inbox, threads), threads, names=NAMES
            )
            await one.hold()
            counts = [await link.look()]
            await one.later(hours=hours)
            counts += [await link.look(), await link.look()]
            return book.get(advice.advice_id), counts, row_of(one)

    return run_virtual(main, in_flight)


def row_of(one: Council) -> Any:
    return one.only()


def test_advice_is_taken_when_it_is_done_and_not_when_it_is_wished(tmp_path: Path) -> None:
    advice = an_advice("bottleneck", "deep_research/tick/time")
    found, counts, row = looked(tmp_path, advice, a_wish())
    assert row.state is DecisionState.DONE
    assert counts == [0, 1, 0], "an hour of veto comes before"
    assert (found.state, found.taken_at) == (AdviceState.TAKEN, row.executed_at)
    assert found.taken_by == f"governance {row.decision.decision_id}"
    assert found.deadline == found.taken_at + found.watch


def test_what_was_done_before_the_advice_did_not_take_it(tmp_path: Path) -> None:
    advice = an_advice("losing agent", "gamma", made_at=START + timedelta(minutes=5))
    found, counts, row = looked(tmp_path, advice, quarantine())
    assert row.state is DecisionState.DONE
    assert (found.state, counts) == (AdviceState.OPEN, [0, 0, 0])


def test_a_request_takes_no_advice_until_somebody_has_carried_it_out(tmp_path: Path) -> None:
    advice = an_advice("bottleneck", "alpha/tick/time")
    wish = a_wish(
        decision_type="code_optimization", action="request_code", subject="alpha", amount=None,
        topic="optimise", metric="error_share", expected=-0.1,
    )  # fmt: skip
    found, counts, row = looked(tmp_path, advice, wish)
    assert row.state is DecisionState.REQUESTED
    assert (found.state, counts) == (AdviceState.OPEN, [0, 0, 0])


@pytest.mark.parametrize(
    ("rule", "subject", "wish", "is_answer"),
    [
        ("losing agent", "house", lower_limit(), True),
        ("losing agent", "gamma", quarantine("gamma"), True),
        ("losing agent", "gamma", quarantine("alpha"), False),
        ("bottleneck", "deep_research/x/io", a_wish(), True),
        ("bottleneck", "deep_research_2/x/io", a_wish(), False),
        ("failing task", "deep_research/x", a_wish(), False),
        ("no such rule", "deep_research", a_wish(), False),
    ],
)
def test_only_what_does_as_it_was_advised_is_an_answer(
    tmp_path: Path, rule: str, subject: str, wish: dict[str, Any], *, is_answer: bool
) -> None:
    advice = an_advice(rule, subject)
    _, counts, row = looked(tmp_path, advice, wish)
    assert answers(advice, row.decision, NAMES) is is_answer
    assert (sum(counts) == 1) is is_answer
    assert row.decision.act in Act
