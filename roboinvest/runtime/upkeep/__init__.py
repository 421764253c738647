"""What the daemon does for agents, inbox and audit, whether anybody asks or not."""
