"""What was proposed, who agreed, and what changed: one file, one transaction, one chain."""
