"""What runs in the box beside a strategy's file; it imports little, for every zygote holds it."""
