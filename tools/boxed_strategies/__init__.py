"""Strategies that run in the box: a file of a stranger's or a model's, as an ordinary strategy."""
