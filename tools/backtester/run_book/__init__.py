"""The log of every backtest, with its lineage: what was tried is counted, and stays counted."""
