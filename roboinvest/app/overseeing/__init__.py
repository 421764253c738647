"""The Overseer in a house, in parts: what is there before trading, and what is loaded after it."""
