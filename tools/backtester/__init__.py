"""Strategies of people and of agents are judged here."""
