"""Settings: the file, the environment and the command line, as values the core works with."""
