"""`llm contamination`: what it refuses, what it says first, and that it runs the days twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.app.options import Outcome, RunOptions
from roboinvest.cli.llm_contamination import DONE, Findings, examine
from roboinvest.cli.llm_contamination_words import show
from roboinvest.core.errors import BadInput, BadSettings, NeedsApproval, TryLater
from roboinvest.core.ports import LanguageModel
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.llm.hindsight.disguise import RunDisguise
from roboinvest.runtime.llm.hindsight.masked import AnonymousModel
from roboinvest.runtime.reports.models import ContaminationLine
from tests.fakes.clocks import ManualClock
from tests.fakes.hindsight import (
    CUTOFF,
    SOURCE,
    ShownModel,
    memory_of_walks,
    settings_for,
    with_memory,
    without_memory,
)
from tests.fakes.processes import roboinvest
from tests.fakes.reports import performance
from tests.fakes.town import Town
from tools.markets import open_market

MODEL = SOURCE.partition(":")[2]
FREE = {"input_usd": 0, "output_usd": 0, "cutoff": CUTOFF}
DEAR = {"input_usd": 2, "output_usd": 8, "cutoff": CUTOFF}
DAYS = {"replay.first": date(2015, 11, 12), "replay.last": date(2015, 11, 17)}


@dataclass
class Starts:
    """Starts a house as the program does, with a model that a test made."""

    model: LanguageModel = field(default_factory=lambda: ShownModel(without_memory))
    reason: str = DONE
    seen: list[tuple[Settings, RunOptions]] = field(default_factory=list)

    def __call__(self, settings: Settings, options: RunOptions) -> Outcome:
        self.seen.append((settings, options))
        market, model = open_market(settings), self.model
        if settings.llm.anonymise == "on":
            worn = RunDisguise(market.stamp, market.symbols)
            model = AnonymousModel(model, worn, ManualClock())
        town = Town(market=market, folder=settings.data_dir, model=model, settings=settings)
        asyncio.run(town.live())
        summary = {"llm": {"cost_usd": 0.125}}
        return Outcome(exit_code=0, reason=self.reason, summary=summary, last_tick=None)


def settings_of(folder: Path, price: Mapping[str, Any], **more: Any) -> Settings:
    typed = {
        "data_dir": folder / "data",
        "llm.provider": "openai",
        "llm.model": MODEL,
        "llm.models": {MODEL: price},
        "llm.base_url": "http://127.0.0.1:9/v1",
        "replay.news_path": folder / "walks.csv",  # no run may look at it
        **DAYS,
    }
    return settings_for(folder, **{**typed, **more})


def examined(
    settings: Settings,
    start: Callable[[Settings, RunOptions], Outcome],
    *,
    agreed: bool = False,
    said: list[str] | None = None,
) -> Findings:
    heard: list[str] = [] if said is None else said
    return examine(settings, start=start, agreed=agreed, environ={}, say=heard.append)


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"llm.provider": "rules"}, BadInput, "rules have no memory"),
        ({"llm.replay_from": "llm.db"}, BadInput, "replay_from"),
        ({"llm.model": "stranger"}, BadSettings, "no price"),
        ({"llm.base_url": None}, BadSettings, "OPENAI_API_KEY"),
        (
            {"replay.last": date(2015, 11, 1), "replay.first": date(2015, 11, 1)},
            BadInput,
            "2015-11-01",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    changed: dict[str, Any], error: type[Exception], text: str, tmp_path: Path
) -> None:
    start = Starts()
    with pytest.raises(error, match=text):
        examined(settings_of(tmp_path, FREE, **changed), start)
    assert start.seen == []


def test_the_cost_is_said_first_and_wants_a_yes(tmp_path: Path) -> None:
    start, said = Starts(), list[str]()
    with pytest.raises(NeedsApproval, match=r"56 questions.*USD.*--yes"):
        examined(settings_of(tmp_path, DEAR), start, said=said)
    assert (start.seen, said) == ([], [])
    examined(settings_of(tmp_path, DEAR), start, agreed=True, said=said)
    assert "56 questions in 2 runs cost at most" in said[0]
    assert len(start.seen) == 2


def test_the_same_days_are_lived_twice_in_folders_of_their_own(tmp_path: Path) -> None:
    start = Starts()
    found = examined(settings_of(tmp_path, FREE), start)
    (true, options), (disguised, _) = start.seen
    assert (true.llm.anonymise, disguised.llm.anonymise) == ("off", "on")
    assert true.data_dir != disguised.data_dir
    assert all(one.data_dir.is_relative_to(tmp_path / "data") for one in (true, disguised))
    assert (options.fresh, options.exit_when_done) == (True, True)
    assert (true.replay.news_path, disguised.replay.news_path) == (None, None)
    assert found.cost_usd == Decimal("0.250")
    comparison = found.comparison
    assert (comparison.first, comparison.last) == (DAYS["replay.first"], DAYS["replay.last"])
    assert comparison.true_before is not None
    assert comparison.true_after is not None
    assert (comparison.true_before.sessions, comparison.true_after.sessions) == (2, 2)
    assert comparison.true_before.by_model == 28
    assert comparison.differences_before is not None
    assert comparison.differences_before.differing == 0


def test_a_model_that_remembers_decides_otherwise_in_disguise(tmp_path: Path) -> None:
    remembers = ShownModel(with_memory(memory_of_walks(CUTOFF)))
    found = examined(settings_of(tmp_path, FREE), Starts(model=remembers)).comparison
    assert found.differences_before is not None
    assert found.differences_before.differing > 5
    assert found.decay_in_disguise is not None
    assert "too few" in found.decay_in_disguise.text


def test_half_a_run_is_not_compared(tmp_path: Path) -> None:
    start = Starts(reason="SIGINT")
    with pytest.raises(TryLater, match="SIGINT"):
        examined(settings_of(tmp_path, FREE), start)
    assert len(start.seen) == 1


def test_the_findings_are_words_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(settings_of(tmp_path, FREE), Starts())
    said = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert said["contamination"]["cutoff"] == "2015-11-13"
    assert said["true_before"]["decisions"].keys() == {"BUY", "SELL", "HOLD"}
    assert said["estimate"] == {"most_usd": 0.0, "asks": 56}
    assert said["decay_in_disguise"]["value"] is None
    capsys.readouterr()
    show(found.comparison, found.cost_usd)
    words = capsys.readouterr().out
    for text in ("until the cut-off", "after it", "too few", "decay = 1 -", "control"):
        assert text in words


def test_runs_without_a_models_answer_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Rules:
        async def ask(self, task: Any, inputs: Any, *, about: str = "") -> Any:
            from roboinvest.runtime.llm.rules import RulesModel

            return await RulesModel(ManualClock()).ask(task, inputs, about=about)

    found = examined(settings_of(tmp_path, FREE), Starts(model=Rules()))
    capsys.readouterr()
    show(found.comparison, found.cost_usd)
    assert "No model answered in both runs" in capsys.readouterr().out


def test_the_report_of_marked_figures_shows_the_sentence(tmp_path: Path) -> None:
    reports = tmp_path / "data" / "reports"
    reports.mkdir(parents=True)
    line = ContaminationLine(model="m", cutoff=CUTOFF, marked=True, text="These may be memory.")
    for marked in (True, False):
        told = performance(contamination=line.model_copy(update={"marked": marked}))
        (reports / "performance.json").write_text(told.model_dump_json())
        answer = roboinvest("report", "--data-dir", tmp_path / "data", cwd=tmp_path)
        assert answer.code == 0, answer.err
        assert ("These may be memory." in answer.out) is marked
