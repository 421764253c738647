"""The JSON files for a frontend: their models, how figures become them, how they are written."""
