"""Vendors on loopback: servers with real books and planted faults for the real clients."""
