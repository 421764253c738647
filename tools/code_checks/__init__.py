"""Static checks of generated code: read, never run."""
