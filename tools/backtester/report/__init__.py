"""Reports of backtests: JSON, CSV, a page for people, a comparison and lines for a terminal."""
