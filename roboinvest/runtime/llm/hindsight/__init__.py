"""What a model may know of the days that it is asked about, and how much that helps it."""
