"""How people, and watchers elsewhere, hear of what happens."""
