"""The control port: what the command line may ask a running daemon."""
