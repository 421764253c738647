"""Plays a case on backtesting.py or vectorbt. Run by an interpreter that has them, as a script.

Prints one JSON object: bars, the CPU seconds of each round, trades, final equity, peak RSS in MB.
Each round reads the file, computes the averages, plays, and asks for equity and basic statistics;
imports and the first round are not counted.
"""

# mypy: ignore-errors
# (neither library is installed where types are checked)

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cases
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")


CLOCK = ["day", "closes_at", "ends"]
PRICES = ["ts", "open", "high", "low", "close", "volume"]


def read(path, more=()):
    frame = pd.read_parquet(path, columns=[*PRICES, *more])
    frame.index = pd.to_datetime(frame["ts"])
    return frame


def vwap_signals(frame):
    """Return entries and forced exits: a close above the session's VWAP after a touch of it."""
    typical = (frame["high"] + frame["low"] + frame["close"]) / 3.0
    by_day = frame["day"]
    paid = (typical * frame["volume"]).groupby(by_day).cumsum()
    vwap = paid / frame["volume"].groupby(by_day).cumsum()
    above = frame["close"] > vwap
    was = above.groupby(by_day).shift(1, fill_value=False)
    left = (frame["ends"] - frame["closes_at"]) / 60e9
    entry = was & (frame["low"] <= vwap) & above & (left > cases.NO_ENTRY_MIN)
    return entry.to_numpy(), (left <= cases.FLAT_MIN).to_numpy()


class BacktestingPy:
    """backtesting.py: next open, whole shares, its spread as our slippage."""

    def __init__(self):
        from backtesting import Backtest, Strategy
        from backtesting.lib import crossover

        class Sma(Strategy):
            fast, slow = cases.FAST, cases.SLOW

            def init(self):
                close = pd.Series(self.data.Close)
                self.one = self.I(lambda: close.rolling(self.fast).mean().to_numpy())
                self.two = self.I(lambda: close.rolling(self.slow).mean().to_numpy())

            def next(self):
                if crossover(self.one, self.two):
                    self.buy(size=0.99)
                elif crossover(self.two, self.one):
                    self.position.close()

        class Vwap(Strategy):
            def init(self):
                self.enter = self.I(lambda: np.asarray(self.data.Enter, dtype=float), plot=False)
                self.late = self.I(lambda: np.asarray(self.data.Late, dtype=float), plot=False)

            def next(self):
                if self.position:
                    if self.late[-1]:
                        self.position.close()
                elif self.enter[-1]:
                    close = self.data.Close[-1]
                    self.buy(
                        size=0.99,
                        sl=close * (1 - cases.STOP_FRAC),
                        tp=close * (1 + cases.TARGET_FRAC),
                    )

        self.backtest, self.sma, self.vwap = Backtest, Sma, Vwap

    def _run(self, frame, strategy, **values):
        columns = {name: name.capitalize() for name in ("open", "high", "low", "close", "volume")}
        test = self.backtest(
            frame.rename(columns=columns),
            strategy,
            cash=cases.CASH,
            spread=cases.SLIPPAGE_BPS / 10_000,
            finalize_trades=True,
        )
        stats = test.run(**values)
        return len(stats["_trades"]), float(stats["Equity Final [$]"])

    def play_sma(self, paths):
        return total([self._run(read(path), self.sma) for path in paths])

    def play_vwap(self, paths):
        frame = read(paths[0], CLOCK)
        frame["Enter"], frame["Late"] = vwap_signals(frame)
        return self._run(frame, self.vwap)

    def play_sweep(self, paths):
        frame = read(paths[0])
        return total([self._run(frame, self.sma, fast=f, slow=s) for f, s in cases.SWEEP])


class VectorBt:
    """vectorbt: signals moved to the next open; levels are fractions of the fill."""

    def __init__(self):
        import vectorbt as vbt

        self.vbt = vbt

    def _portfolio(self, frame, entries, exits, **levels):
        book = self.vbt.Portfolio.from_signals(
            close=frame["close"],
            entries=moved(entries),
            exits=moved(exits),
            price=frame["open"],
            open=frame["open"],
            high=frame["high"],
            low=frame["low"],
            init_cash=cases.CASH,
            slippage=cases.SLIPPAGE_BPS / 10_000,
            freq="1min",
            **levels,
        )
        book.total_return(), book.sharpe_ratio(), book.max_drawdown()
        value = book.final_value()
        return int(np.sum(book.trades.count())), float(np.sum(value))

    def _cross(self, close, fast, slow):
        one = self.vbt.MA.run(close, fast)
        two = self.vbt.MA.run(close, slow)
        return one.ma_crossed_above(two).to_numpy(), one.ma_crossed_below(two).to_numpy()

    def play_sma(self, paths):
        if len(paths) == 1:
            frame = read(paths[0])
            return self._portfolio(frame, *self._cross(frame["close"], cases.FAST, cases.SLOW))
        frames = [read(path) for path in paths]
        table = {
            name: pd.concat([frame[name] for frame in frames], axis=1, keys=range(len(frames)))
            for name in ("open", "high", "low", "close")
        }
        return self._portfolio(table, *self._cross(table["close"], cases.FAST, cases.SLOW))

    def play_vwap(self, paths):
        frame = read(paths[0], CLOCK)
        levels = {"sl_stop": cases.STOP_FRAC, "tp_stop": cases.TARGET_FRAC}
        return self._portfolio(frame, *vwap_signals(frame), **levels)

    def play_sweep(self, paths):
        frame = read(paths[0])
        fasts, slows = zip(*cases.SWEEP, strict=True)
        one = self.vbt.MA.run(frame["close"], list(fasts), short_name="one")
        two = self.vbt.MA.run(frame["close"], list(slows), short_name="two")
        entries = one.ma_crossed_above(two).to_numpy()
        exits = one.ma_crossed_below(two).to_numpy()
        return self._portfolio(frame, entries, exits)


def moved(flags):
    """Return signals a row later: what is known at a close is traded at the next open."""
    later = np.zeros_like(flags)
    later[1:] = flags[:-1]
    return later


def total(results):
    return sum(trades for trades, _ in results), sum(equity for _, equity in results)


def peak_mb():
    """Return the most memory that was resident; `ru_maxrss` would count who forked us as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main():
    engine, case, folder, rounds = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    paths = {
        "daily_sma": [folder / "daily.parquet"],
        "symbols_sma": sorted(folder.glob("minute_*.parquet")),
    }.get(case, [folder / "minute_00.parquet"])
    peer = {"backtesting.py": BacktestingPy, "vectorbt": VectorBt}[engine]()
    play = {"minute_vwap": peer.play_vwap, "sweep_sma": peer.play_sweep}.get(case, peer.play_sma)
    play(paths)
    spent, outcome = [], None
    for _ in range(rounds):
        began = time.process_time()
        outcome = play(paths)
        spent.append(time.process_time() - began)
    print(
        json.dumps(
            {
                "cpu_s": spent,
                "trades": outcome[0],
                "equity": outcome[1],
                "rss_mb": peak_mb(),
            }
        )
    )


if __name__ == "__main__":
    main()
