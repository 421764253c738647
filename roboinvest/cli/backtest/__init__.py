"""`roboinvest backtest`: run, look at, compare and search."""
