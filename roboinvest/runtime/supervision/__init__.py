"""Keeps services alive: the contract, the tree, back-off, and the guards around the loop."""
