"""What agents wrote, kept: immutable revisions on disk, and the alias that says which one acts."""
