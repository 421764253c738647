from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from meta_agents.meeting.judging import judged
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.decisions import Decision, DecisionState
from roboinvest.core.oversight.scoring import Sample, Score, Verdict
from roboinvest.runtime.oversight.cadence import Cadence
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.meeting_schema import SCHEMA
from roboinvest.runtime.oversight.meetings import MeetingRows, RefusedRow
from roboinvest.runtime.oversight.tuned import TunedValues
from tests.fakes.clocks import START
from tests.fakes.wishes import FIVE, texts_of
from tests.meta_agents.meeting.test_judging import HOUSE

DAY: Final = date(2026, 1, 5)
NAME: Final = "m1.1"


def decided() -> tuple[Decision, ...]:
    return judged(texts_of(FIVE), HOUSE).decisions


@pytest.fixture
def file(tmp_path: Path) -> Iterator[OverseerFile]:
    with OverseerFile.open(tmp_path / FILE_NAME, schemas=[SCHEMA]) as opened:
        yield opened


@pytest.fixture
def rows(file: OverseerFile) -> MeetingRows:
    found = MeetingRows(file)
    found.begin(DAY, "m1", START)
    refused = [RefusedRow(number=6, wish="{}", reason="no decision", nobody=False, level=None)]
    found.decide(
        DAY, decided(), refused, source="rules", reason="", facts="{}", log_mark="7", now=START
    )
    return found


def test_what_was_decided_is_read_back_as_it_was(rows: MeetingRows) -> None:
    assert [each.decision for each in rows.of_day(DAY)] == list(decided())
    assert rows.refused(DAY)[0].reason == "no decision"
    assert rows.log_mark() == "7"
    assert len(rows.under_way()) == 5
    with pytest.raises(BadInput):
        rows.get("m1.99")


def test_a_day_decides_once_and_all_at_once(rows: MeetingRows) -> None:
    assert rows.begin(DAY, "m1", START + timedelta(hours=3)).begun_at == START
    more = {"source": "", "reason": "", "facts": "{}", "log_mark": None, "now": START}
    with pytest.raises(Refused, match="decided already"):
        rows.decide(DAY, decided(), [], **more)  # type: ignore[arg-type]
    tomorrow = DAY + timedelta(days=1)
    rows.begin(tomorrow, "m2", START)
    with pytest.raises(Refused):  # the names are taken: nothing of it is kept
        rows.decide(tomorrow, decided(), [], **more)  # type: ignore[arg-type]
    found = rows.meeting(tomorrow)
    assert found is not None
    assert found.decided_at is None
    assert rows.log_mark() == "7"


def test_only_moves_that_there_are_can_be_made(rows: MeetingRows) -> None:
    with pytest.raises(Refused, match="cannot become done"):
        rows.move(NAME, DecisionState.DONE, "so it is", now=START)
    for state in (DecisionState.WAITING, DecisionState.EXECUTING, DecisionState.DONE):
        rows.move(NAME, state, "on", now=START)
    assert rows.get(NAME).executed_at == START
    with pytest.raises(Refused):
        rows.move(NAME, DecisionState.WAITING, "back", now=START)


def test_what_was_scored_stays_scored_and_nothing_is_removed(
    rows: MeetingRows, tmp_path: Path
) -> None:
    rows.set_baseline(NAME, Sample(mean=1.0, deviation=0.5, n=9))
    rows.set_baseline(NAME, Sample(mean=2.0, deviation=0.5, n=9))
    rows.score(NAME, Score(verdict=Verdict.WRONG, effect=None, reason="measured"), START)
    with pytest.raises(Refused, match="stays scored"):
        rows.score(NAME, Score(verdict=Verdict.RIGHT, effect=None, reason="told"), START)
    found = rows.get(NAME)
    assert (found.verdict, found.baseline) == (
        Verdict.WRONG,
        Sample(mean=1.0, deviation=0.5, n=9),
    )
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        for statement in (
            "DELETE FROM decisions",
            "UPDATE decisions SET content = '{}'",
            "UPDATE decisions SET verdict = 'right'",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                other.execute(statement)
    other.close()
    assert rows.calibration().scored == 1


def test_a_meeting_is_made_due_for_a_daemon(rows: MeetingRows, file: OverseerFile) -> None:
    assert not rows.make_due("governance_meeting", START)
    cadence = Cadence(file, "governance_meeting", timedelta(days=1))
    cadence.done(START)
    assert not cadence.due(START + timedelta(hours=1))
    assert rows.make_due("governance_meeting", START + timedelta(hours=1))
    assert cadence.due(START + timedelta(hours=1))


def test_a_number_that_was_set_is_read_back(file: OverseerFile) -> None:
    values = TunedValues(file)
    assert values.get("a", Decimal(5)) == 5
    values.put("a", Decimal("0.250"), by="governance", at=START)
    values.put("a", Decimal("0.125"), by="ann", at=START)
    assert values.get("a", Decimal(5)) == Decimal("0.125")
