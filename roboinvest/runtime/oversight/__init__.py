"""What the Overseer keeps between runs: attempts to heal, and when its loops are due next."""
