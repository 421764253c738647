"""The parts of the store: column types, statements, rows, reads, and all that is SQLite's own."""
