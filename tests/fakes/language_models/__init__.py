"""A server of language models on loopback, which answers by a script and fails on request."""
