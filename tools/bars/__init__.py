"""Recorded bars: reading files, checking them, and the store."""
