"""Text and cross-agent recall on Chroma: a cache that can be rebuilt and never decides."""
