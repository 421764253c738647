"""Market data from a vendor: asked for at its pace, checked before it is believed, kept once."""
