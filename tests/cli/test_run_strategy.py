"""`run --strategy`: who decides is said and recorded; what the daemon cannot trade is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.processes import roboinvest

REFUSED = {
    "no such strategy": ("--strategy vwap_bounse", "vwap_bounce"),
    "no stop": ("--strategy buy_and_hold", "declares no stop"),
    "short": ("--strategy pairs --symbols AAA,BBB", "risk.allow_short is off"),
    "a parameter of nobody": ("--param fast=3", "add --strategy NAME"),
    "a parameter twice": ("--strategy macd --param fast=3 --param fast=4", "given twice"),
    "a value out of range": ("--strategy sma_crossover --param fast=0", "outside"),
}


def test_a_strategy_decides_a_replay_and_is_named_with_every_decision(
    bars: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    ended = roboinvest(
        *("run", "--replay", bars, "--from", "2015-12-22", "--symbols", "AAA"),
        *("--strategy", "sma_crossover", "--param", "fast=3", "--param", "slow=9"),
        *("--exit-when-done", "--json", "--data-dir", data),
        cwd=tmp_path,
    )
    assert ended.code == 0, ended.err
    assert ended.value()["fills"] > 2
    told = roboinvest("explain", "last", "--data-dir", data, cwd=tmp_path)
    assert "strategy:sma_crossover@1" in told.out
    other = roboinvest(
        *("run", "--replay", bars, "--from", "2015-12-22", "--symbols", "AAA"),
        *("--strategy", "sma_crossover", "--param", "fast=4", "--param", "slow=9"),
        *("--exit-when-done", "--data-dir", data),
        cwd=tmp_path,
    )
    assert other.code == 5  # other parameters are another run, and want another folder


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_daemon_cannot_trade_is_refused(case: str, bars: Path, tmp_path: Path) -> None:
    typed, says = REFUSED[case]
    ended = roboinvest(
        *("run", "--replay", bars, *typed.split(), "--exit-when-done"),
        *("--data-dir", tmp_path / "data"),
        cwd=tmp_path,
    )
    assert ended.code == 2, ended.out
    assert says in ended.err
    assert ended.err.strip().count("\n") == 0
