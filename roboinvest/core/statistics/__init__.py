"""Honest statistics: what a backtest's figures can bear, given how many were tried."""
