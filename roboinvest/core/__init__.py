"""Values, rules and arithmetic: no I/O, no event loop, no language model."""
