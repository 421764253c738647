"""The strategy that the README shows is one: it loads, plays and looks nowhere ahead."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import numpy as np

from roboinvest.core.market.values import Timeframe
from tests.fakes.tapes import minute_tape
from tools.backtester.contract import Request
from tools.backtester.engine import play_request, run_backtest
from tools.backtester.leaks.check import leak_check
from tools.strategies.files import load_strategy

README = Path(__file__).resolve().parents[3] / "README.md"


def test_the_example_in_the_readme_is_a_strategy_without_a_leak(tmp_path: Path) -> None:
    found = re.search(
        r"(    from roboinvest\.core\.quant.*?)\n\n## ", README.read_text(), re.DOTALL
    )
    assert found is not None
    path = tmp_path / "my_idea.py"
    path.write_text(dedent(found.group(1)))
    strategy = load_strategy(path)
    request = Request(
        strategy=strategy,
        values=strategy.values({}),
        bars={"SPY": minute_tape(4, days=6)},
        timeframe=Timeframe.MINUTE,
    )
    assert len(run_backtest(request).round_trips) > 5
    report = leak_check(request, play=play_request, rng=np.random.default_rng(5))
    assert report.suspected == ()
