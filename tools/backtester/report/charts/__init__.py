"""Charts as inline SVG that needs no script, no font and no address."""
