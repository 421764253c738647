"""Strategies that people know, one module per family; `tools.strategies.shelf` finds them."""
