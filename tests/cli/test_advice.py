"""A person says that advice was followed; from then on it is measured."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from roboinvest.core.oversight.advice import Advice, Aim
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.oversight.analyst_tables import SCHEMA, AdviceBook
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from tests.fakes.processes import roboinvest


def test_advice_is_listed_and_taken_once_by_a_person(tmp_path: Path) -> None:
    assert roboinvest("advice", "ls", "--json", cwd=tmp_path).value() == {"advice": []}
    assert "no advice" in roboinvest("advice", "take", "a1", cwd=tmp_path).refusal()
    now = SystemClock().now()
    advice = Advice(
        advice_id="a1",
        rule="bottleneck",
        subject="feed/tick/io",
        text="read less",
        evidence="it waits",
        metric="span.mean_s/feed/io",
        aim=Aim.LOWER,
        expected=-0.1,
        expected_text="0.1 s less",
        watch_s=3_600.0,
        made_at=now,
        deadline=now + timedelta(days=7),
    )
    (tmp_path / "data").mkdir(mode=0o700)
    with OverseerFile.open(tmp_path / "data" / FILE_NAME, schemas=[SCHEMA]) as file:
        AdviceBook(file).add(advice)
    assert "cannot" in roboinvest("advice", "take", "a1", "--as", "governance", cwd=tmp_path).err
    taken = roboinvest("advice", "take", "a1", "--as", "ann", cwd=tmp_path)
    assert (taken.code, "ann took a1" in taken.out) == (0, True)
    assert "is taken" in roboinvest("advice", "take", "a1", "--as", "ann", cwd=tmp_path).refusal()
    (found,) = roboinvest("advice", "ls", "--json", cwd=tmp_path).value()["advice"]
    assert (found["state"], found["taken_by"]) == ("taken", "ann")
