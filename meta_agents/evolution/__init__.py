"""The gates: what code that nobody wrote by hand has to show before it may do anything."""
