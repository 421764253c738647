"""How agents are, why they fail, and what may be done about it: judged from numbers handed in."""
