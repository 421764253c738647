"""The governance meeting: what it reads, what it may decide, who does it, and what came of it."""
