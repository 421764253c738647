"""Figures on speed, size and patience of the daemon, measured on this machine by `make bench`."""
