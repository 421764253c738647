"""What a market shows: bars, sessions, corporate actions, and the gate that keeps bad rows out."""
