"""Hands on the market: whatever takes an order and reports what became of it."""
