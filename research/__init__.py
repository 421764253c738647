"""The wing that learns: research tracks and the lab where trading agents grow."""
