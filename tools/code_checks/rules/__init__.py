"""What generated code may not hold, one kind of fault a module."""
