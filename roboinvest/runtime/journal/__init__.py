"""The order journal: what we asked brokers for, and what they executed."""
