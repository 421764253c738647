"""What an artifact says about itself that can be tried: cases and expectations, as data."""
