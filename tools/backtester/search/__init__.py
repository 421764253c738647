"""Searching for parameters, and the tests that say how much of what was found is the search."""
