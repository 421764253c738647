"""What a report adds to the figures of a run: curves, attribution, costs, chosen trades."""
