"""Strategies that people know, and those of a file."""
