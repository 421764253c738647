"""Our executors beside backtesting.py and vectorbt, on the same seeded bars."""
