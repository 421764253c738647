"""The Alpaca venue: its interface through the vendor's client, and its stream of trade updates."""
