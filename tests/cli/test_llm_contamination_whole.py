"""`llm contamination` as it is typed: two daemons, the real client, and a model on loopback."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hindsight import CUTOFF, FIRST, LAST, SEED, SYMBOLS, TIMEFRAME
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.language_models.traders import house_model
from tests.fakes.processes import roboinvest
from tests.fakes.walks import write_walks

MODEL = "gpt-loopback"
CONFIG = f"""
[llm]
provider = "openai"
model = "{MODEL}"
[llm.models."{MODEL}"]
input_usd = PRICE
output_usd = PRICE
cutoff = {CUTOFF}
[risk]
cooldown_bars = 0
"""
TICKS = 4 * 7  # sessions, hours


def prompts(bodies: list[dict[str, Any]]) -> list[str]:
    return ["\n".join(m["content"] for m in body["messages"]) for body in bodies]


def closes(texts: list[str]) -> set[str]:
    return {found for text in texts for found in re.findall(r'"close":([0-9.]+)', text)}


@pytest.mark.alone
@pytest.mark.campaign
def test_the_model_sees_nothing_true_in_the_second_run(tmp_path: Path) -> None:
    bars, config = tmp_path / "walks.csv", tmp_path / "settings.toml"
    write_walks(bars, SEED, FIRST, LAST, symbols=SYMBOLS, timeframe=TIMEFRAME)
    data = tmp_path / "data"
    days = ("--from", "2015-11-12", "--to", "2015-11-17")
    command = ("llm", "contamination", "--replay", bars, *days, "--json")
    folders = ("--config", config, "--data-dir", data)
    with LanguageModelServer(script=house_model(), models=(MODEL,)) as server:
        env = {"ROBOINVEST_LLM__BASE_URL": server.url}
        config.write_text(CONFIG.replace("PRICE", "2"))
        unpaid = roboinvest(*command, *folders, cwd=tmp_path, env=env)
        assert unpaid.code == 5
        assert f"{2 * TICKS} questions in 2 runs cost at most" in unpaid.refusal()
        assert server.asked == []
        config.write_text(CONFIG.replace("PRICE", "0"))
        done = roboinvest(*command, *folders, cwd=tmp_path, env=env)
        asked = prompts(server.asked)
    assert done.code == 0, done.err
    assert f"{2 * TICKS} questions in 2 runs, which cost nothing" in done.err
    found = json.loads(done.out)
    for name in ("true_before", "true_after", "disguised_before", "disguised_after"):
        assert found[name]["by_model"] == TICKS
        assert found[name]["sessions"] == 2
    assert len(asked) == 2 * TICKS
    true, disguised = asked[:TICKS], asked[TICKS:]
    assert all("AAA" in text and "2015-11" in text for text in true)
    for word in ("AAA", "BBB", "2015"):
        assert not any(word in text for text in disguised), word
    assert closes(true)
    assert not closes(true) & closes(disguised)
    for side in ("differences_before", "differences_after"):
        assert found[side]["compared"] == TICKS
        assert found[side]["agreement"]["value"] > 0.9  # it looks at features, not at names

    for name in ("true", "disguised"):
        folder = ("--data-dir", data / "contamination" / name)
        report = roboinvest("report", *folder, "--json", cwd=tmp_path).value()
        assert report["contamination"]["marked"] is True
        assert report["contamination"]["cutoff"] == str(CUTOFF)
        assert ("disguised" in report["contamination"]["text"]) is (name == "disguised")
    words = roboinvest(
        *command[:-1], *folders, cwd=tmp_path, env={"ROBOINVEST_LLM__PROVIDER": "rules"}
    )
    assert words.code == 2
    assert "rules have no memory" in words.refusal()
