"""Strangers' text: how it is cleaned, fenced off, and how little it is trusted."""
