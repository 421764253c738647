"""The command line: one family of commands per file, and --json on everything that reads."""
