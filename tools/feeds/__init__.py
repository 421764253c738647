"""Feeds: a market shown bar by bar, causally."""
