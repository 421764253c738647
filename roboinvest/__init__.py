"""RoboInvest: a trading daemon that stays inside limits no model can widen."""
