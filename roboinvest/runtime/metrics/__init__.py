"""Figures for Prometheus, on loopback."""
