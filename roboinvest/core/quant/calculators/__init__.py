"""The causal calculators: columns that strategies declare, computed from closed bars only."""
