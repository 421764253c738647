"""Instruments with an outside or a side effect: market data, files, calendars."""
