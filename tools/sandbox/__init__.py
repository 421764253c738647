"""A box for code that a model or a stranger wrote: arrays in, bounded signals out."""
