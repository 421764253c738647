"""Why it did that, and why it did not trade: one story out of everything that was stored."""
