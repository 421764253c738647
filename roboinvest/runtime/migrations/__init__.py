"""Alembic's scripts; they travel in the wheel and are found by this package's path."""
