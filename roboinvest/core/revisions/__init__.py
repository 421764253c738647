"""What an agent wrote, as values: artifacts, revisions, the evidence they need, the governor."""
