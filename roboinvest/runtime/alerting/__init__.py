"""What may need a person: each cause once, until it has recovered."""
