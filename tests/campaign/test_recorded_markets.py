"""Replays of real recorded days: an ordinary fortnight, a split, a clock change and a half day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.processes import Ended, runs
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(300)]

SPY: Final = ("--source", "pyalgotrade-ninjatrader", "--symbols", "SPY")
AAPL: Final = ("--source", "lean", "--symbols", "AAPL")
GOOG: Final = ("--source", "lean", "--symbols", "GOOG")
PHANTOM_FRAC: Final = 0.02  # of equity; a split taken for a loss would show as far more


class Replays:
    """Every replay of this file, lived through once, the long one beside the short ones."""

    def __init__(self, folder: Path, pack: Path) -> None:
        self.folder = folder
        factors = pack / "corporate_actions" / "factors.csv"
        days = {
            "fortnight": (*SPY, "--from", "2011-01-03", "--to", "2011-01-14"),
            "split": (*AAPL, "--from", "2014-06-06", "--to", "2014-06-09", "--actions", factors),
            "unannounced": (*AAPL, "--from", "2014-06-06", "--to", "2014-06-09"),
            "clock": (*SPY, "--from", "2011-03-11", "--to", "2011-03-14"),
            "half": (*GOOG, "--from", "2015-12-24", "--to", "2015-12-24"),
        }
        bars = pack / "bars" / "minute_equity.parquet"
        run = ("run", "--replay", bars, "--speed", "max", "--exit-when-done", "--json")
        commands = [(*run, *chosen, "--data-dir", name) for name, chosen in days.items()]
        ends = runs(commands, cwd=folder, timeout_s=280)
        self.ends: Mapping[str, Ended] = dict(zip(days, ends, strict=True))

    def summary(self, name: str) -> Any:
        assert self.ends[name].code == 0, self.ends[name].err
        return self.ends[name].value()

    def stored(self, name: str) -> StoredRun:
        return StoredRun(self.folder / name)

    def alerts(self, name: str) -> list[Any]:
        found: list[Any] = json.loads((self.folder / name / "reports" / "alerts.json").read_text())[
            "alerts"
        ]
        return found


@pytest.fixture(scope="module")
def replays(data_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Replays:
    return Replays(tmp_path_factory.mktemp("replays"), data_pack)


def test_a_fortnight_of_spy_is_ten_sessions_with_every_minute_and_some_trades(
    replays: Replays,
) -> None:
    summary = replays.summary("fortnight")
    assert (summary["sessions"], summary["ticks"]) == (10, 3900)
    assert sum(summary["decisions"].values()) == 3900
    assert summary["trades"] > 0
    assert summary["data"]["quarantined"] == 0
    assert summary["data"]["used"] == 3900  # extended hours are read, and are no bars of a session
    assert summary["benchmark_equity_end"] == pytest.approx(102_000, abs=300)  # 127.2 to 129.3 less
    assert replays.alerts("fortnight") == []


def test_an_announced_split_costs_nothing_and_trading_goes_on(replays: Replays) -> None:
    summary = replays.summary("split")
    assert summary["ticks"] == 780
    assert summary["equity_end"] == pytest.approx(summary["equity_start"], rel=PHANTOM_FRAC)
    assert summary["benchmark_equity_end"] == pytest.approx(100_900, abs=300)  # 647.4 to 7 x 93.7
    assert summary["data"]["quarantined"] == 0
    assert replays.alerts("split") == []


def test_a_split_that_nobody_announced_suspends_the_symbol_and_costs_nothing(
    replays: Replays,
) -> None:
    summary = replays.summary("unannounced")
    assert summary["ticks"] == 780
    assert summary["equity_end"] == pytest.approx(summary["equity_start"], rel=PHANTOM_FRAC)
    assert summary["data"]["by_reason"] == {"unexplained_jump": 390}  # the session of the split
    (alert,) = replays.alerts("unannounced")
    assert (alert["key"], alert["resolved_at"]) == ("data.AAPL", None)
    assert "7:1 split" in alert["message"]
    assert sent_on(replays.stored("unannounced"), "2014-06-09") == 0
    assert sent_on(replays.stored("split"), "2014-06-09") > 0


def test_the_clock_change_moves_the_open_and_loses_no_minute(replays: Replays) -> None:
    assert replays.summary("clock")["ticks"] == 780
    monday = replays.stored("clock").rows(
        "SELECT min(at), max(at), count(*) FROM ticks WHERE session_day = '2011-03-14'"
    )
    assert monday == [("2011-03-14 13:31:00.000000", "2011-03-14 20:00:00.000000", 390)]
    friday = replays.stored("clock").rows(
        "SELECT min(at), max(at) FROM ticks WHERE session_day = '2011-03-11'"
    )
    assert friday == [("2011-03-11 14:31:00.000000", "2011-03-11 21:00:00.000000")]


def test_a_half_day_has_210_ticks_and_ends_flat_at_its_own_close(replays: Replays) -> None:
    assert replays.summary("half")["ticks"] == 210
    stored = replays.stored("half")
    assert stored.ticks()[-1] == "2015-12-24 18:00:00.000000"
    assert stored.holdings() == []


def sent_on(stored: StoredRun, day: str) -> int:
    """Return how many orders were sent on an exchange day."""
    ((count,),) = stored.rows("SELECT sum(orders) FROM ticks WHERE session_day = ?", day)
    return int(count)
