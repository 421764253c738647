"""A place to type commands in, recorded bars, and a replay that has ended."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from roboinvest.core.market.values import Timeframe
from tests.fakes.processes import Finished, roboinvest
from tests.fakes.walks import write_walks

SEED = 5


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV of AAA and BBB: four sessions of five-minute bars, the last one a half day."""
    path = tmp_path_factory.mktemp("bars") / "walks.csv"
    first, last = date(2015, 12, 21), date(2015, 12, 24)
    return write_walks(path, SEED, first, last, timeframe=Timeframe.MINUTES_5)


@pytest.fixture(scope="session")
def finished(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return a finished run; tests may ask about it and must leave it as it is."""
    place = tmp_path_factory.mktemp("finished")
    arguments = ("run", "--replay", bars, "--from", "2015-12-23", "--exit-when-done")
    data = place / "data"
    ended = roboinvest(*arguments, "--json", "--data-dir", data, cwd=place)
    assert ended.code == 0, ended.err
    return Finished(place=place, bars=bars, data=data, arguments=arguments, ended=ended)
