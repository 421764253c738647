"""What language models cost: reserved before, settled after, in a file that outlives a kill."""
