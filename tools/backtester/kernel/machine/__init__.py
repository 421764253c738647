"""What is compiled: a run in integers, walked from instant to instant."""
