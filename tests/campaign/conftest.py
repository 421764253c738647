"""What the campaign shares: recorded bars, an uncut replay of them, and how a replay is typed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.fakes.processes import Finished, roboinvest
from tests.fakes.walks import write_walks

SEED = 23
HERE = Path(__file__).parent
BESIDE_OTHERS = frozenset(  # what they assert is not by the clock, or by its minutes
    {
        "test_killed_replays.py",
        "test_live_secrets.py",
        "test_one_digest.py",
        "test_recorded_markets.py",
        "test_spend_kills.py",
        "test_the_overseer_and_the_vendors.py",
        "test_the_overseer_in_real_processes.py",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the others of this folder alone: daemons that are watched by the clock."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.name not in BESIDE_OTHERS:
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV of AAA and BBB: minute bars of a whole session and of the half day after it."""
    path = tmp_path_factory.mktemp("bars") / "walks.csv"
    return write_walks(path, SEED, date(2015, 12, 23), date(2015, 12, 24))


@pytest.fixture(scope="session")
def uncut(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return a replay of the half day that nothing happened to; leave it as it is."""
    place = tmp_path_factory.mktemp("uncut")
    data = place / "data"
    arguments = ("run", "--replay", bars, "--from", "2015-12-24", "--exit-when-done", "--json")
    ended = roboinvest(*arguments, "--data-dir", data, cwd=place)
    assert ended.code == 0, ended.err
    summary = ended.value()
    assert summary["ticks"] == 210
    assert summary["trades"] > 1  # an empty run would agree with anything
    return Finished(place=place, bars=bars, data=data, arguments=arguments, ended=ended)
