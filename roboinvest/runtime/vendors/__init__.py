"""How vendors are called: at their pace, by our priorities, and never for longer than we allow."""
