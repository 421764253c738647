"""Times in which nothing is entered, as they are kept, listed and cleared."""
