"""The questions that a strategy is asked, one file for each way of cheating."""
