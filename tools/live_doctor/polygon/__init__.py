"""Polygon: what is asked, and what the answers mean."""
